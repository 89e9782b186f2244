//! Asks a registry for manifests: oci-client reads them whole, however long they are.

use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, WWW_AUTHENTICATE};
use http_auth::parser::ChallengeParser;
use oci_client::{
    client::Certificate,
    errors::OciDistributionError,
    manifest::{
        IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE,
    },
    secrets::RegistryAuth,
};
use reqwest::RequestBuilder;

const KINDS: [&str; 4] =
    [OCI_IMAGE_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, IMAGE_MANIFEST_LIST_MEDIA_TYPE];
/// Documents of some kilobytes.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    scheme: &'static str,
    /// What the registry gave for the login, where it gives tokens.
    pub token: Option<String>,
}

pub enum Answer {
    /// A document and its media type.
    Is(Vec<u8>, String),
    TooLong,
    Status(u16),
}

impl Client {
    pub fn new(
        is_plain: bool,
        insecure: bool,
        authority: &[Certificate],
        user_agent: &str,
    ) -> Result<Self, oci::Error> {
        let read = |certificate: &Certificate| reqwest::Certificate::from_der(&certificate.data);
        let build = || {
            let authority = authority.iter().map(read).collect::<Result<Vec<_>, _>>()?;
            let builder = reqwest::Client::builder().user_agent(user_agent).timeout(PATIENCE);
            builder.danger_accept_invalid_certs(insecure).tls_certs_merge(authority).build()
        };
        let http = build().map_err(oci::Error::at("set up the client for the registry"))?;
        Ok(Self { http, scheme: if is_plain { "http" } else { "https" }, token: None })
    }

    /// The document at a path below the host.
    pub async fn get(&self, path: &str, login: &RegistryAuth, limit: u64) -> Result<Answer, OciDistributionError> {
        let request = self.http.get(format!("{}://{path}", self.scheme)).header(ACCEPT, KINDS.join(", "));
        let mut answer = self.as_whom(request, login).send().await?;
        if !answer.status().is_success() {
            return Ok(Answer::Status(answer.status().as_u16()));
        }
        let kind =
            answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
        let mut document = vec![];
        while let Some(chunk) = answer.chunk().await? {
            if (document.len() + chunk.len()) as u64 > limit {
                return Ok(Answer::TooLong);
            }
            document.extend_from_slice(&chunk);
        }
        Ok(Answer::Is(document, kind))
    }

    /// What the registry says to whoever only knocks.
    pub async fn status(&self, host: &str, login: &RegistryAuth) -> Result<u16, OciDistributionError> {
        let request = self.http.get(format!("{}://{host}/v2/", self.scheme));
        Ok(self.as_whom(request, login).send().await?.status().as_u16())
    }

    /// Where the registry has tokens given to those who log in, if it does.
    pub async fn realm(&self, host: &str) -> Result<Option<String>, OciDistributionError> {
        let answer = self.http.get(format!("{}://{host}/v2/", self.scheme)).send().await?;
        let challenge = answer.headers().get(WWW_AUTHENTICATE).and_then(|challenge| challenge.to_str().ok());
        Ok(challenge.and_then(realm_in))
    }

    fn as_whom(&self, request: RequestBuilder, login: &RegistryAuth) -> RequestBuilder {
        match (&self.token, login) {
            (Some(token), _) => request.bearer_auth(token),
            (None, RegistryAuth::Basic(name, password)) => request.basic_auth(name, Some(password)),
            _ => request,
        }
    }
}

/// `Bearer realm="https://…"`, among other challenges.
fn realm_in(challenges: &str) -> Option<String> {
    let bearer = ChallengeParser::new(challenges).flatten().find(|it| it.scheme.eq_ignore_ascii_case("Bearer"))?;
    bearer.params.iter().find(|(name, _)| name.eq_ignore_ascii_case("realm")).map(|(_, realm)| realm.to_unescaped())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_realm_is_that_of_the_tokens() {
        let bearer = r#"Bearer realm="http://auth.example/token",service="r""#;
        assert_eq!(realm_in(bearer).as_deref(), Some("http://auth.example/token"));
        assert_eq!(realm_in(&format!(r#"Basic realm="here", {bearer}"#)).as_deref(), Some("http://auth.example/token"));
        assert_eq!(realm_in(r#"Basic realm="here""#), None);
        assert_eq!(realm_in("nonsense"), None);
    }
}
