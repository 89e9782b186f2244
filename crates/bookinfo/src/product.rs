//! Products as the four services know them: by number. Bookinfo sells one book.

use axum::{
    Json,
    extract::{FromRequestParts, Path},
    http::{StatusCode, request::Parts},
};
use serde_json::{Value, json};

/// An error as Bookinfo's services answer it.
pub type Failure = (StatusCode, Json<Value>);

/// The number in a path like `/details/0`.
#[derive(Debug, Clone, Copy)]
pub struct ProductId(pub u64);

impl<S: Send + Sync> FromRequestParts<S> for ProductId {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let id = Path::<u64>::from_request_parts(parts, state).await;
        id.map(|Path(id)| Self(id)).map_err(|_| failure(StatusCode::BAD_REQUEST, "please provide numeric product ID"))
    }
}

pub fn failure(status: StatusCode, message: &str) -> Failure {
    (status, Json(json!({ "error": message })))
}

/// What is for sale.
pub fn products() -> Value {
    json!([{
        "id": 0,
        "title": "The Comedy of Errors",
        "descriptionHtml": "Two pairs of twins, parted at sea as infants, end up in the same town, where <b>everyone mistakes \
            everyone</b>: the shortest of William Shakespeare's plays.",
    }])
}
