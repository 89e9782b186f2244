//! The four services together, as real processes: pages, JSON, versions, and exactly the connections that the labs count.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod support;

use std::{net::SocketAddr, process::Output, time::Duration};

use assert_cmd::Command;
use serde_json::{Value, json};
use support::{Relay, Service};
use tokio::{io::AsyncReadExt, net::TcpListener, task::spawn_blocking};

/// All of Bookinfo with one version of reviews, a relay in front of each service that is called.
struct Bookinfo {
    productpage: Service,
    details: Relay,
    reviews: Relay,
    ratings: Relay,
    _services: [Service; 3],
}

impl Bookinfo {
    async fn with_reviews(version: &str) -> Self {
        let details = Service::start("details", &[]);
        let ratings = Service::start("ratings", &[]);
        let to_details = Relay::to(details.address).await;
        let to_ratings = Relay::to(ratings.address).await;
        let reviews = Service::start(&format!("reviews --version {version}"), &[("ratings", to_ratings.address)]);
        let to_reviews = Relay::to(reviews.address).await;
        let peers = [("details", to_details.address), ("reviews", to_reviews.address), ("ratings", to_ratings.address)];
        Self {
            productpage: Service::start("productpage", &peers),
            details: to_details,
            reviews: to_reviews,
            ratings: to_ratings,
            _services: [details, ratings, reviews],
        }
    }

    /// Connections made to details, reviews and ratings.
    fn connections(&self) -> [usize; 3] {
        [&self.details, &self.reviews, &self.ratings].map(Relay::connections)
    }
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let response = client().get(format!("http://{address}{path}")).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn get_json(address: SocketAddr, path: &str) -> (u16, Value) {
    let (status, body) = get(address, path).await;
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error} in {body}")))
}

/// An address at which nobody listens.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn bookinfo_get(arguments: Vec<String>) -> Output {
    spawn_blocking(|| Command::cargo_bin("bookinfo").unwrap().arg("get").args(arguments).output().unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn every_service_says_that_it_is_healthy() {
    let page = Service::start("productpage", &[]);
    assert_eq!(get(page.address, "/health").await, (200, "Product page is healthy".to_owned()));
    for (role, status) in
        [("details", "Details is healthy"), ("reviews", "Reviews is healthy"), ("ratings", "Ratings is healthy")]
    {
        let service = Service::start(role, &[]);
        assert_eq!(get_json(service.address, "/health").await, (200, json!({ "status": status })));
    }
}

#[tokio::test]
async fn a_service_listens_on_the_first_address_that_can_be_had() {
    let service = Service::start("details --listen [2001:db8::1]:9080", &[]);
    assert_eq!(get(service.address, "/health").await.0, 200);
}

#[tokio::test]
async fn the_page_shows_the_book_its_details_and_the_stars_of_the_version() {
    for (version, stars) in [("v1", None), ("v2", Some("color: black")), ("v3", Some("color: red"))] {
        let bookinfo = Bookinfo::with_reviews(version).await;
        let (status, page) = get(bookinfo.productpage.address, "/productpage").await;
        assert_eq!(status, 200, "{page}");
        for part in
            ["The Comedy of Errors", "PublisherA", "123-1234567890", "Reviewer1", &format!("reviews-{version}-pod")]
        {
            assert!(page.contains(part), "{version}, {part}: {page}");
        }
        match stars {
            Some(color) => assert!(page.contains("★★★★★") && page.contains("★★★★☆") && page.contains(color), "{page}"),
            None => assert!(!page.contains('★'), "{page}"),
        }
        assert!(!page.contains("Error fetching"), "{page}");
    }
}

#[tokio::test]
async fn the_api_answers_with_the_originals_fields() {
    let bookinfo = Bookinfo::with_reviews("v3").await;
    let address = bookinfo.productpage.address;

    let (status, products) = get_json(address, "/api/v1/products").await;
    assert_eq!((status, &products[0]["id"], &products[0]["title"]), (200, &json!(0), &json!("The Comedy of Errors")));
    assert!(products[0]["descriptionHtml"].is_string());

    let details = json!({
        "id": 7, "author": "William Shakespeare", "year": 1595, "type": "paperback", "pages": 200, "publisher": "PublisherA",
        "language": "English", "ISBN-10": "1234567890", "ISBN-13": "123-1234567890",
    });
    assert_eq!(get_json(address, "/api/v1/products/7").await, (200, details));

    let ratings = json!({ "id": 7, "ratings": { "Reviewer1": 5, "Reviewer2": 4 } });
    assert_eq!(get_json(address, "/api/v1/products/7/ratings").await, (200, ratings));

    let (status, reviews) = get_json(address, "/api/v1/products/7/reviews").await;
    assert_eq!((status, &reviews["id"], &reviews["podname"]), (200, &json!("7"), &json!("reviews-v3-pod")));
    assert_eq!(reviews["clustername"], "null");
    assert_eq!(reviews["reviews"][1]["reviewer"], "Reviewer2");
    assert_eq!(reviews["reviews"][1]["rating"], json!({ "stars": 4, "color": "red" }));
}

#[tokio::test]
async fn a_product_that_is_no_number_is_a_bad_request() {
    let bookinfo = Bookinfo::with_reviews("v2").await;
    for path in ["/api/v1/products/folio", "/api/v1/products/-1/reviews", "/api/v1/products/..%2F0/ratings"] {
        let error = json!({ "error": "please provide numeric product ID" });
        assert_eq!(get_json(bookinfo.productpage.address, path).await, (400, error), "{path}");
    }
    assert_eq!(bookinfo.connections(), [0, 0, 0]);
}

#[tokio::test]
async fn every_request_makes_one_new_connection_to_each_service_it_needs() {
    let bookinfo = Bookinfo::with_reviews("v2").await;
    for requests in 1..=5 {
        get(bookinfo.productpage.address, "/productpage").await;
        assert_eq!(bookinfo.connections(), [requests; 3]);
    }
}

#[tokio::test]
async fn reviews_v1_never_calls_ratings() {
    let bookinfo = Bookinfo::with_reviews("v1").await;
    for requests in 1..=5 {
        get(bookinfo.productpage.address, "/productpage").await;
        assert_eq!(bookinfo.connections(), [requests, requests, 0]);
    }
}

#[tokio::test]
async fn a_page_without_details_and_reviews_is_still_a_page_and_says_so() {
    let nobody = nobody().await;
    let page = Service::start("productpage", &[("details", nobody), ("reviews", nobody), ("ratings", nobody)]);
    let (status, body) = get(page.address, "/productpage").await;
    assert_eq!(status, 200);
    for what in ["details", "reviews"] {
        assert!(body.contains(&format!("Sorry, product {what} are currently unavailable for this book.")), "{body}");
    }
    let error = json!({ "error": "Sorry, product ratings are currently unavailable for this book." });
    assert_eq!(get_json(page.address, "/api/v1/products/0/ratings").await, (500, error));
}

#[tokio::test]
async fn the_api_passes_on_the_status_of_the_service_behind() {
    // A details service knows no /reviews: it answers 404, twice, because reviews are asked again.
    let details = Service::start("details", &[]);
    let relay = Relay::to(details.address).await;
    let page = Service::start("productpage", &[("reviews", relay.address)]);
    let (status, body) = get_json(page.address, "/api/v1/products/0/reviews").await;
    assert_eq!((status, body["error"].is_string(), relay.connections()), (404, true, 2));
}

#[tokio::test]
async fn reviews_without_ratings_are_shown_with_an_error_in_place_of_the_stars() {
    let reviews = Service::start("reviews --version v3", &[("ratings", nobody().await)]);
    let (status, answer) = get_json(reviews.address, "/reviews/0").await;
    let error = json!({ "error": "Ratings service is currently unavailable" });
    assert_eq!((status, &answer["reviews"][0]["rating"], &answer["reviews"][1]["rating"]), (200, &error, &error));
}

#[tokio::test]
async fn tracing_headers_reach_the_last_service() {
    let ratings = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let reviews = Service::start("reviews --version v2", &[("ratings", ratings.local_addr().unwrap())]);
    let page = Service::start("productpage", &[("details", nobody().await), ("reviews", reviews.address)]);
    let request = client().get(format!("http://{}/productpage", page.address)).header("x-request-id", "id-42");
    tokio::spawn(request.send());

    let (mut connection, _) = ratings.accept().await.unwrap();
    let mut buffer = [0; 4096];
    let length = connection.read(&mut buffer).await.unwrap();
    let head = String::from_utf8_lossy(&buffer[..length]).to_lowercase();
    assert!(head.starts_with("get /ratings/0 ") && head.contains("x-request-id: id-42"), "{head}");
}

#[tokio::test]
async fn get_prints_one_status_per_request_each_over_its_own_connection() {
    let details = Service::start("details", &[]);
    let relay = Relay::to(details.address).await;
    let url = format!("http://{}/details/0", relay.address);
    let output = bookinfo_get(vec![url, "--repeat".into(), "3".into()]).await;
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"200\n200\n200\n"[..]));
    assert_eq!(relay.connections(), 3);
}

#[tokio::test]
async fn get_fails_when_a_request_is_not_answered_with_200() {
    let details = Service::start("details", &[]);
    let output = bookinfo_get(vec![format!("http://{}/nowhere", details.address)]).await;
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b"404\n"[..]));

    let output = bookinfo_get(vec![format!("http://{}/", nobody().await), "--repeat".into(), "2".into()]).await;
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b"000\n000\n"[..]));
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(talk.contains("Connection refused") && talk.contains("2 of 2 requests"), "{talk}");
}

#[tokio::test]
async fn sigterm_ends_a_service_within_a_second_even_with_a_call_that_hangs() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let page = Service::start("productpage", &[("details", silent.local_addr().unwrap())]);
    let request = tokio::spawn(client().get(format!("http://{}/productpage", page.address)).send());
    let _hanging = silent.accept().await.unwrap();

    let (status, in_time) = spawn_blocking(|| page.terminate(Duration::from_secs(1))).await.unwrap();
    assert!(status.success() && in_time, "{status}, in time: {in_time}");
    assert!(request.await.unwrap().is_err());
}
