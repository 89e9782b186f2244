//! The reviews service, in three versions: v1 shows no stars and so never calls ratings, v2 shows black ones, v3 red ones.

use std::{env, time::Duration};

use axum::{Json, Router, extract::State, http::HeaderMap, routing::get};
use serde_json::{Value, json};

use crate::{cli::Version, peer::Peer, product::ProductId};

const REVIEWS: [(&str, &str); 2] = [
    ("Reviewer1", "Four men, two faces, one afternoon: I lost count of the mix-ups and kept laughing."),
    ("Reviewer2", "Quick, light and well made. For depth, read one of his later plays."),
];

pub fn router(version: Version) -> anyhow::Result<Router> {
    let stars = match star_color(version, |variable| env::var(variable).ok()) {
        Some(color) => Some(Stars { color, ratings: Peer::from_env("ratings")? }),
        None => None,
    };
    Ok(Router::new()
        .route("/health", get(async || Json(json!({ "status": "Reviews is healthy" }))))
        .route("/reviews/{id}", get(reviews))
        .with_state(stars))
}

/// The color of the version's stars, if it shows any. The original's images differ in these two variables only.
fn star_color(version: Version, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let enabled = variable("ENABLE_RATINGS").map_or(version != Version::V1, |value| value.eq_ignore_ascii_case("true"));
    let default = if version == Version::V3 { "red" } else { "black" };
    enabled.then(|| variable("STAR_COLOR").unwrap_or_else(|| default.to_owned()))
}

async fn reviews(State(stars): State<Option<Stars>>, ProductId(id): ProductId, caller: HeaderMap) -> Json<Value> {
    let mut reviews = REVIEWS.map(|(reviewer, text)| json!({ "reviewer": reviewer, "text": text }));
    if let Some(stars) = stars {
        let ratings = stars.ratings(id, &caller).await;
        for review in &mut reviews {
            review["rating"] = stars.rating(&ratings, &review["reviewer"]);
        }
    }
    // A pod's name tells which of the three answered. The original spells what it does not know "null".
    let known = |variable| env::var(variable).unwrap_or_else(|_| "null".to_owned());
    Json(json!({
        "id": id.to_string(),
        "podname": known("HOSTNAME"),
        "clustername": known("CLUSTER_NAME"),
        "reviews": reviews,
    }))
}

#[derive(Clone)]
struct Stars {
    color: String,
    ratings: Peer,
}

impl Stars {
    /// Stars by reviewer, nothing if ratings can't be had. Black stars outwait the page's own limit and red ones do not:
    /// Istio's exercises in fault injection live on that difference.
    async fn ratings(&self, id: u64, caller: &HeaderMap) -> Value {
        let limit = Duration::from_millis(if self.color == "black" { 10_000 } else { 2_500 });
        self.ratings.get(id, caller, limit).await.map(|mut answer| answer["ratings"].take()).unwrap_or_default()
    }

    fn rating(&self, ratings: &Value, reviewer: &Value) -> Value {
        match reviewer.as_str().and_then(|reviewer| ratings[reviewer].as_u64()) {
            Some(stars) => json!({ "stars": stars, "color": self.color }),
            None => json!({ "error": "Ratings service is currently unavailable" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v1_shows_no_stars_v2_black_ones_and_v3_red_ones() {
        let color = |version| star_color(version, |_| None);
        assert_eq!(color(Version::V1), None);
        assert_eq!(color(Version::V2).as_deref(), Some("black"));
        assert_eq!(color(Version::V3).as_deref(), Some("red"));
    }

    #[test]
    fn the_originals_variables_overrule_the_version() {
        let blue = |name: &str| {
            [("ENABLE_RATINGS", "true"), ("STAR_COLOR", "blue")].iter().find(|v| v.0 == name).map(|v| v.1.into())
        };
        assert_eq!(star_color(Version::V1, blue).as_deref(), Some("blue"));
        let off = |name: &str| (name == "ENABLE_RATINGS").then(|| "false".to_owned());
        assert_eq!(star_color(Version::V3, off), None);
    }
}
