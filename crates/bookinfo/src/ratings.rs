//! The ratings service: how many stars each reviewer gave. It calls nobody.

use axum::{Json, Router, routing::get};
use serde_json::{Value, json};

use crate::product::ProductId;

pub fn router() -> Router {
    Router::new()
        .route("/health", get(async || Json(json!({ "status": "Ratings is healthy" }))))
        .route("/ratings/{id}", get(ratings))
}

async fn ratings(ProductId(id): ProductId) -> Json<Value> {
    Json(json!({ "id": id, "ratings": { "Reviewer1": 5, "Reviewer2": 4 } }))
}
