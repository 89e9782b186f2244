//! Where Prometheus is, and how kebpf proves itself there. A password or a token goes into requests and nowhere else: whatever
//! shows an endpoint shows only where it is.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::str::FromStr;

use reqwest::{Client, RequestBuilder, Url};

/// The address of a Prometheus. It may carry a path, as behind a reverse proxy, and a login, `user:password@`.
#[derive(Clone)]
pub struct Endpoint {
    url: Url,
    token: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    #[error(
        "invalid Prometheus address `{0}`: expected one such as http://prometheus.monitoring.svc:9090; \
         in a login, `/`, `?`, `#` and `@` are written %2F, %3F, %23 and %40"
    )]
    Address(String),
    #[error("{0} is given a login and a token file: expected one of them")]
    TwoProofs(String),
    #[error("failed to read the token of Prometheus from {}", .file.display())]
    Token { file: PathBuf, source: std::io::Error },
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let invalid = || EndpointError::Address(without_login(text));
        let mut url = Url::parse(text).map_err(|_| invalid())?;
        let is_http = ["http", "https"].contains(&url.scheme()) && url.has_host();
        // What follows a stray `/` of a password would be shown as a path.
        let is_astray = [Some(url.path()), url.query(), url.fragment()].iter().flatten().any(|part| part.contains('@'));
        if !is_http || is_astray {
            return Err(invalid());
        }
        let path = format!("{}/api/v1/query", url.path().trim_end_matches('/'));
        url.set_path(&path);
        Ok(Self { url, token: None })
    }
}

impl Endpoint {
    /// With a token from a file, which is read at each request: whoever issues tokens replaces them.
    ///
    /// # Errors
    /// A second way to prove oneself, or no token.
    pub fn with_token(self, file: PathBuf) -> Result<Self, EndpointError> {
        if !self.url.username().is_empty() || self.url.password().is_some() {
            return Err(EndpointError::TwoProofs(self.to_string()));
        }
        let endpoint = Self { token: Some(file), ..self };
        endpoint.token()?;
        Ok(endpoint)
    }

    pub fn is_encrypted(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// reqwest makes a header of the login and takes it out of the address.
    pub(crate) fn request(&self, client: &Client) -> Result<RequestBuilder, EndpointError> {
        let request = client.get(self.url.clone());
        Ok(match self.token()? {
            Some(token) => request.bearer_auth(token),
            None => request,
        })
    }

    fn token(&self) -> Result<Option<String>, EndpointError> {
        let Some(file) = &self.token else { return Ok(None) };
        match fs::read_to_string(file) {
            Ok(token) => Ok(Some(token.trim().to_owned())),
            Err(source) => Err(EndpointError::Token { file: file.clone(), source }),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut place = self.url.clone();
        // It has a host, so it may have a login or none.
        let _ = (place.set_username(""), place.set_password(None));
        place.set_query(None);
        place.set_fragment(None);
        place.fmt(formatter)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// What can be told of a text that should have been an address.
fn without_login(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, place)) => format!("…@{}", without_query(place)),
        None => without_query(text).to_owned(),
    }
}

fn without_query(text: &str) -> &str {
    text.split(['?', '#']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "s3cret";

    /// Parsed or not, nothing that can be printed holds the secret.
    #[test]
    fn whatever_is_shown_of_an_address_holds_no_secret() {
        let addresses = [
            "http://user:s3cret@prom:9090",
            "https://s3cret@prom/prometheus/",
            "http://:s3cret@prom",
            "http://user:a%2Fs3cret@prom",
            "http://prom:9090/?token=s3cret",
            "http://prom:9090/#s3cret",
            "ftp://user:s3cret@prom",
            "user:s3cret@prom:9090",
            "http://user:a@s3cret@prom:9090",
            "http://user:a/s3cret@prom",
            "http://user:12/s3cret@prom",
            "http://user:12?s3cret@prom",
            "http://user:12#s3cret@prom",
            "http://user:s3cret@",
            "http://user:s3cret@prom:ninety",
            "prom:9090?token=s3cret",
        ];
        for address in addresses {
            let shown = match address.parse::<Endpoint>() {
                Ok(endpoint) => format!("{endpoint} {endpoint:?} {:?}", endpoint.clone().with_token("/nowhere".into())),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(shown.contains("prom") || address.ends_with('@'), "{address}: {shown}");
            assert!(!shown.contains(SECRET), "{address}: {shown}");
        }
    }

    #[test]
    fn an_endpoint_may_carry_a_path_and_must_be_http() {
        let endpoint = |text: &str| text.parse::<Endpoint>().map(|endpoint| endpoint.to_string());
        assert_eq!(endpoint("http://prom:9090").unwrap(), "http://prom:9090/api/v1/query");
        assert_eq!(endpoint("https://user:a%40b@proxy/prom/").unwrap(), "https://proxy/prom/api/v1/query");
        for wrong in ["", "prom:9090", "ftp://prom:9090", "file:///etc/passwd"] {
            assert!(matches!(endpoint(wrong), Err(EndpointError::Address(_))), "{wrong}");
        }
    }
}
