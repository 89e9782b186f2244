//! The productpage service: a book's page, put together from details and reviews, and the same as JSON.

use std::time::Duration;

use anyhow::Context;
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{Html, Redirect},
    routing::get,
};
use minijinja::{Environment, UndefinedBehavior, context};
use serde_json::Value;

use crate::{
    peer::Peer,
    product::{Failure, ProductId, failure, products},
    serve::log,
};

const PAGE: &str = include_str!("productpage.html");
const LIMIT: Duration = Duration::from_secs(3);

pub fn router() -> anyhow::Result<Router> {
    let services = Services {
        details: Peer::from_env("details")?,
        reviews: Peer::from_env("reviews")?,
        ratings: Peer::from_env("ratings")?,
    };
    Ok(Router::new()
        .route("/", get(async || Redirect::temporary("/productpage")))
        .route("/health", get(async || "Product page is healthy"))
        .route("/productpage", get(page))
        .route("/api/v1/products", get(async || Json(products())))
        .route("/api/v1/products/{id}", get(details))
        .route("/api/v1/products/{id}/reviews", get(reviews))
        .route("/api/v1/products/{id}/ratings", get(ratings))
        .with_state(services))
}

/// The page is there, status 200, even if details or reviews are not: it says which is missing.
async fn page(State(services): State<Services>, caller: HeaderMap) -> Result<Html<String>, Failure> {
    let id = ProductId(0);
    let details = services.details(id, &caller).await.unwrap_or_else(|(_, error)| error);
    let reviews = services.reviews(id, &caller).await.unwrap_or_else(|(_, error)| error);
    render(&products()[0], &details, &reviews).map(Html).map_err(|error| {
        log(format_args!("productpage: {error:#}"));
        failure(StatusCode::INTERNAL_SERVER_ERROR, "Sorry, the page could not be drawn.")
    })
}

fn render(product: &Value, Json(details): &Json<Value>, Json(reviews): &Json<Value>) -> anyhow::Result<String> {
    let mut environment = Environment::new();
    // Reviews of v1 have no rating to ask for stars.
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    // The name's ending makes the template escape what it is given.
    let values = context! { product, details, reviews };
    environment.render_named_str("productpage.html", PAGE, values).context("failed to draw the page")
}

async fn details(State(services): State<Services>, id: ProductId, caller: HeaderMap) -> Answer {
    services.details(id, &caller).await
}

async fn reviews(State(services): State<Services>, id: ProductId, caller: HeaderMap) -> Answer {
    services.reviews(id, &caller).await
}

async fn ratings(State(services): State<Services>, id: ProductId, caller: HeaderMap) -> Answer {
    services.ratings(id, &caller).await
}

type Answer = Result<Json<Value>, Failure>;

#[derive(Clone)]
struct Services {
    details: Peer,
    reviews: Peer,
    ratings: Peer,
}

impl Services {
    async fn details(&self, ProductId(id): ProductId, caller: &HeaderMap) -> Answer {
        self.details.get(id, caller, LIMIT).await.map(Json).map_err(|status| unavailable(status, "details"))
    }

    /// Reviews are asked a second time when they fail, as the original does; its readers meet that in Istio's exercises.
    async fn reviews(&self, ProductId(id): ProductId, caller: &HeaderMap) -> Answer {
        let mut answer = self.reviews.get(id, caller, LIMIT).await;
        if answer.is_err() {
            answer = self.reviews.get(id, caller, LIMIT).await;
        }
        answer.map(Json).map_err(|status| unavailable(status, "reviews"))
    }

    async fn ratings(&self, ProductId(id): ProductId, caller: &HeaderMap) -> Answer {
        self.ratings.get(id, caller, LIMIT).await.map(Json).map_err(|status| unavailable(status, "ratings"))
    }
}

fn unavailable(status: StatusCode, what: &str) -> Failure {
    failure(status, &format!("Sorry, product {what} are currently unavailable for this book."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page_with(reviews: Value) -> String {
        let details = json!({ "publisher": "PublisherA", "ISBN-10": "1234567890" });
        render(&products()[0], &Json(details), &Json(reviews)).unwrap()
    }

    #[test]
    fn what_a_service_answers_is_escaped() {
        let page = page_with(json!({ "reviews": [{ "reviewer": "R", "text": "<script>alert(1)</script>" }] }));
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"), "{page}");
    }

    #[test]
    fn four_stars_are_four_full_ones_and_an_empty_one() {
        let page = page_with(
            json!({ "reviews": [{ "reviewer": "R", "text": "", "rating": { "stars": 4, "color": "red" } }] }),
        );
        assert!(page.contains("★★★★☆") && page.contains("color: red"), "{page}");
    }

    #[test]
    fn an_absurd_number_of_stars_draws_five() {
        let page = page_with(
            json!({ "reviews": [{ "reviewer": "R", "rating": { "stars": 4_000_000_000_u64, "color": "red" } }] }),
        );
        assert_eq!(page.matches('★').count(), 5);
    }

    #[test]
    fn the_page_loads_nothing_from_elsewhere() {
        let page = page_with(json!({ "reviews": [] }));
        for outside in ["src=", "<link", "url(", "@import", "//"] {
            assert!(!page.contains(outside), "{outside}: {page}");
        }
    }
}
