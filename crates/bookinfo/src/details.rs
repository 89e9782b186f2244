//! The details service: the facts on a book's cover. It calls nobody.

use axum::{Json, Router, routing::get};
use serde_json::{Value, json};

use crate::product::ProductId;

pub fn router() -> Router {
    Router::new()
        .route("/health", get(async || Json(json!({ "status": "Details is healthy" }))))
        .route("/details/{id}", get(details))
}

async fn details(ProductId(id): ProductId) -> Json<Value> {
    Json(json!({
        "id": id,
        "author": "William Shakespeare",
        "year": 1595,
        "type": "paperback",
        "pages": 200,
        "publisher": "PublisherA",
        "language": "English",
        "ISBN-10": "1234567890",
        "ISBN-13": "123-1234567890",
    }))
}
