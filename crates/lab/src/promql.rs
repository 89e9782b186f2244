//! Asks Prometheus, through the API server: no port is opened for it, and the answer is checked before it is used.

use std::{collections::BTreeMap, sync::LazyLock};

use anyhow::{Context, Result, bail};
use kube::Client;
use serde::Deserialize;

use crate::{
    error::unfit,
    kubernetes::{ServicePort, proxy},
};

/// The Service that lab 3 makes, under the name that the kube-prometheus-stack chart gives it too.
pub static PROMETHEUS: LazyLock<ServicePort> = LazyLock::new(|| ServicePort {
    namespace: "prometheus".into(),
    service: "prom-kube-prometheus-stack-prometheus".into(),
    port: 9090,
});

/// One series of an instant query's answer; a scalar has no labels.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Sample {
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Sample {
    /// The value of a label, empty if there is none: as in PromQL.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// Something that Prometheus scrapes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    pub scrape_url: String,
    /// `up`, `down`, or `unknown` before the first scrape.
    pub health: String,
    pub last_error: String,
}

/// An instant query.
///
/// # Errors
/// Prometheus is not there or not ready, refuses the query (the reason is its own), or answers something else.
pub async fn query(client: &Client, promql: &str) -> Result<Vec<Sample>> {
    let data = ask(client, "query", &[("query", promql)]).await?;
    let data: QueryData =
        serde_json::from_value(data).context("Prometheus answers, but not with the result of a query")?;
    data.samples()
}

/// The active targets of the scrape jobs whose name begins with `job`.
pub async fn targets(client: &Client, job: &str) -> Result<Vec<Target>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Active {
        scrape_pool: String,
        #[serde(flatten)]
        target: Target,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Targets {
        active_targets: Vec<Active>,
    }
    let data = ask(client, "targets", &[("state", "active")]).await?;
    let data: Targets = serde_json::from_value(data).context("Prometheus answers, but not with its targets")?;
    let of_job = data.active_targets.into_iter().filter(|active| active.scrape_pool.starts_with(job));
    Ok(of_job.map(|active| active.target).collect())
}

async fn ask(client: &Client, what: &str, parameters: &[(&str, &str)]) -> Result<serde_json::Value> {
    let url = reqwest::Url::parse_with_params("http://prometheus/", parameters).context("the query")?;
    let path = format!("/api/v1/{what}?{}", url.query().unwrap_or_default());
    match proxy::get(client, &PROMETHEUS, &path).await {
        Ok(text) => answer(&text),
        // Prometheus says what is wrong with a query in the same form, with the status 400 or 422.
        Err(error) => match serde_json::from_str::<Answer>(&format!("{}", error.root_cause())) {
            Ok(refusal) => refusal.data(),
            Err(_) => Err(unfit(
                format!("Prometheus does not answer: {}", crate::error::message(&error)),
                "`cargo xtask check 3` says why; `cargo xtask lab 3` installs it",
            )),
        },
    }
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    data: serde_json::Value,
    #[serde(default)]
    error: String,
}

impl Answer {
    fn data(self) -> Result<serde_json::Value> {
        if self.status != "success" {
            bail!("Prometheus refuses the query: {}", self.error);
        }
        Ok(self.data)
    }
}

fn answer(text: &str) -> Result<serde_json::Value> {
    let begin = || text.chars().take(80).collect::<String>();
    let answer: Answer = serde_json::from_str(text)
        .with_context(|| format!("what answers in Prometheus' place is not Prometheus: it says `{}`", begin()))?;
    answer.data()
}

/// The `data` of a query. Prometheus writes numbers as text, for NaN and the infinities.
#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum QueryData {
    Vector(Vec<Series>),
    Scalar((f64, String)),
    String((f64, String)),
    Matrix(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    value: Option<(f64, String)>,
}

impl QueryData {
    fn samples(self) -> Result<Vec<Sample>> {
        let sample = |labels, (_, text): (f64, String)| {
            let value = text.parse().with_context(|| format!("Prometheus answers `{text}` where a number belongs"))?;
            Ok(Sample { labels, value })
        };
        match self {
            Self::Scalar(value) => Ok(vec![sample(BTreeMap::new(), value)?]),
            Self::Vector(series) => {
                let plain = series.into_iter().filter_map(|series| Some((series.metric, series.value?)));
                plain.map(|(metric, value)| sample(metric, value)).collect()
            }
            Self::String((_, text)) => bail!("the query gives the text `{text}`, not numbers"),
            Self::Matrix(_) => {
                bail!("the query gives a range of values: leave out the `[…]`, or wrap it in rate(…) or the like")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(text: &str) -> Result<Vec<Sample>> {
        serde_json::from_value::<QueryData>(answer(text)?)?.samples()
    }

    #[test]
    fn a_vector_gives_its_series() {
        let text = r#"{"status": "success", "data": {"resultType": "vector", "result":
            [{"metric": {"pod_ip": "10.101.1.2"}, "value": [1.5, "20"]}, {"metric": {}, "value": [1.5, "+Inf"]}]}}"#;
        let samples = samples(text).unwrap();
        assert_eq!((samples[0].label("pod_ip"), samples[0].label("none"), samples[0].value), ("10.101.1.2", "", 20.0));
        assert!(samples[1].value.is_infinite());
    }

    #[test]
    fn a_scalar_is_one_sample_without_labels() {
        let text = r#"{"status": "success", "data": {"resultType": "scalar", "result": [1.5, "2"]}}"#;
        assert_eq!(samples(text).unwrap(), [Sample { labels: BTreeMap::new(), value: 2.0 }]);
    }

    #[test]
    fn a_refusal_is_in_prometheus_own_words() {
        let text = r#"{"status": "error", "errorType": "bad_data", "error": "parse error: unexpected end of input"}"#;
        let error = answer(text).unwrap_err().to_string();
        assert_eq!(error, "Prometheus refuses the query: parse error: unexpected end of input");
    }

    #[test]
    fn garbage_is_shown_and_not_used() {
        let error = answer("<html>hello</html>").unwrap_err().to_string();
        assert_eq!(error, "what answers in Prometheus' place is not Prometheus: it says `<html>hello</html>`");
        assert!(samples(r#"{"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "x"]}]}}"#).is_err());
        assert!(samples(r#"{"status": "success", "data": {"resultType": "matrix", "result": []}}"#).is_err());
        assert!(samples(r#"{"status": "success"}"#).is_err());
    }
}
