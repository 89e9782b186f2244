//! What Bookinfo is, and whether it serves its page.

use kube::Client;

use super::{Check, client, ready};
use crate::finding::Finding;
use crate::kubernetes::{ServicePort, proxy, rollout::Workload};

/// Bookinfo's Services, in the namespace `default`.
pub const SERVICES: [&str; 4] = ["productpage", "details", "reviews", "ratings"];
/// Who calls whom when a page is asked for; reviews v1 calls nobody, v2 and v3 ratings.
pub const CALLS: [(&str, &str); 3] = [("productpage", "details"), ("productpage", "reviews"), ("reviews", "ratings")];
/// Its Deployments.
pub const DEPLOYMENTS: [&str; 6] =
    ["productpage-v1", "ratings-v1", "details-v1", "reviews-v1", "reviews-v2", "reviews-v3"];

/// One of three versions of reviews answers each request; only two of them call ratings. With so many, some of each answered.
const REQUESTS: usize = 12;

/// All six Deployments are ready, and the page has what details and reviews say.
pub fn checks() -> Vec<Check> {
    let ready = DEPLOYMENTS.map(|name| ready(Workload::deployment("default", name), 4));
    let page = Check::new("/productpage answers with details and reviews", |workshop, _| {
        Box::pin(async move { page(&client(workshop).await?).await })
    });
    ready.into_iter().chain([page]).collect()
}

async fn page(client: &Client) -> Result<(), Finding> {
    let to = ServicePort { namespace: "default".into(), service: "productpage".into(), port: 9080 };
    let finding = |condition: String| Finding::new("service/productpage in namespace default", condition);
    for _ in 0..REQUESTS {
        let page = proxy::get(client, &to, "/productpage").await.map_err(|error| {
            finding("/productpage does not answer 200".into())
                .because(crate::error::message(&error))
                .fix("`cargo xtask lab 4` installs Bookinfo; `cargo xtask kubectl get pods` shows its pods")
        })?;
        complete(&page).map_err(|condition| {
            finding(condition).fix("`cargo xtask kubectl logs deployment/productpage-v1` says what it could not reach")
        })?;
    }
    Ok(())
}

/// The marks are those of the original's page and of ours.
fn complete(page: &str) -> Result<(), String> {
    for part in ["details", "reviews"] {
        if page.contains(&format!("Error fetching product {part}")) {
            return Err(format!("the page says that it got no {part}"));
        }
    }
    for (part, mark) in [("details", "ISBN-10"), ("reviews", "Reviewer1")] {
        if !page.contains(mark) {
            return Err(format!("the page has no {part} (`{mark}` is not in it)"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_without_one_of_its_parts_is_not_complete() {
        assert_eq!(complete("ISBN-10 … Reviewer1"), Ok(()));
        assert!(complete("ISBN-10 … Error fetching product reviews").unwrap_err().contains("no reviews"));
        assert!(complete("Reviewer1").unwrap_err().contains("no details"));
        assert!(complete("").is_err());
    }
}
