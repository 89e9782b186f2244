//! Why a registry did not take or give what it was asked for, in words that say what to do. What it answers comes from outside: little of it
//! is shown, and no address with a query, which may hold a token.

use clikit::escaped;
use oci_client::errors::{OciDistributionError, OciErrorCode};

use oci::Error;

/// How much of a registry's own words is shown.
const WORDS: usize = 200;

/// The HTTP status that an error stands for.
pub fn status(error: &OciDistributionError) -> Option<u16> {
    match error {
        OciDistributionError::RequestError(error) => error.status().map(|status| status.as_u16()),
        OciDistributionError::ServerError { code, .. } => Some(*code),
        OciDistributionError::UnauthorizedError { .. } | OciDistributionError::AuthenticationFailure(_) => Some(401),
        OciDistributionError::ImageManifestNotFoundError(_) => Some(404),
        OciDistributionError::RegistryError { envelope, .. } => {
            envelope.errors.iter().find_map(|error| match error.code {
                OciErrorCode::Unauthorized => Some(401),
                OciErrorCode::Denied => Some(403),
                OciErrorCode::ManifestUnknown | OciErrorCode::NameUnknown | OciErrorCode::NotFound => Some(404),
                _ => None,
            })
        }
        _ => None,
    }
}

/// Where something went wrong, and who was asking.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub host: &'a str,
    pub repository: &'a str,
    pub is_anonymous: bool,
    /// What logs in there, such as `docker login`.
    pub login: &'a str,
}

impl Place<'_> {
    /// What went wrong, and the next step.
    pub fn explain(&self, error: OciDistributionError) -> Error {
        let Self { host, repository, .. } = self;
        match (status(&error), error) {
            (Some(code @ (401 | 403)), _) => self.explain_status(code),
            (Some(code), OciDistributionError::RequestError(_)) => self.explain_status(code),
            (None, OciDistributionError::RequestError(error)) => no_answer(host, &causes(&error.without_url())),
            (_, OciDistributionError::ServerError { code, message, .. }) => {
                Error::new(format!("the registry {host} answers {code} for {repository}: {}", words(&message)))
            }
            (_, OciDistributionError::RegistryError { envelope, .. }) => {
                Error::new(format!("the registry {host} refuses {repository}: {}", words(&envelope.to_string())))
            }
            (_, other) => Error::new(format!("the registry {host}, {repository}: {}", words(&other.to_string()))),
        }
    }

    /// What an HTTP status means that is no success.
    pub fn explain_status(&self, status: u16) -> Error {
        let Self { host, repository, .. } = self;
        let login = format!("{} {host}", self.login);
        match status {
            401 if self.is_anonymous => Error::fixable(format!("the registry {host} wants a login"), login),
            401 => Error::fixable(format!("the registry {host} does not take the login that there is for it"), login),
            403 => Error::fixable(
                format!("the registry {host} does not let this login use {repository}"),
                format!("name a path of yours, or log in as somebody who may: {login}"),
            ),
            _ => Error::new(format!("the registry {host} answers {status} for {repository}")),
        }
    }
}

/// A request that nobody answered.
fn no_answer(host: &str, why: &str) -> Error {
    // What rustls says of a certificate, and of bytes that are no TLS.
    if let Some((_, reason)) = why.split_once("invalid peer certificate: ") {
        let hint = "name the authority that signed it with --registry-ca FILE, or add it to this machine's";
        return Error::fixable(
            format!("the certificate of the registry {host} is not trusted: {}", words(reason)),
            hint,
        );
    }
    if why.contains("InvalidContentType") {
        let hint = "if nobody can listen on the way, speak to it with --plain-http";
        return Error::fixable(format!("the registry {host} does not speak TLS"), hint);
    }
    let hint = "is it running, and is that its address?";
    Error::fixable(format!("the registry {host} can't be reached: {}", words(why)), hint)
}

/// An error with everything behind it; reqwest alone says only that something failed.
fn causes(error: &dyn std::error::Error) -> String {
    let mut all = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_words = cause.to_string();
        if !all.ends_with(&cause_words) {
            all = format!("{all}: {cause_words}");
        }
        next = cause.source();
    }
    all
}

/// The beginning of somebody else's words, on one line.
pub fn words(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(WORDS) {
        Some((end, _)) => format!("{}…", escaped(&text[..end])),
        None => escaped(text).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(is_anonymous: bool, error: OciDistributionError) -> String {
        let (host, repository, login) = ("r.example:5000", "room/ebpf-lab/bee", "docker login");
        let error = Place { host, repository, is_anonymous, login }.explain(error);
        format!("{error}; {}", error.hint().unwrap_or("no hint"))
    }

    fn server(code: u16, message: &str) -> OciDistributionError {
        let url = "https://r.example:5000/v2/x?_state=token".to_owned();
        OciDistributionError::ServerError { code, url, message: message.to_owned() }
    }

    #[test]
    fn a_refusal_says_who_must_log_in() {
        assert_eq!(
            said(true, server(401, "")),
            "the registry r.example:5000 wants a login; docker login r.example:5000"
        );
        assert!(said(false, server(401, "")).contains("does not take the login"));
        assert!(said(false, server(403, "")).contains("does not let this login use room/ebpf-lab/bee"));
    }

    #[test]
    fn a_registrys_own_words_are_short_and_on_one_line() {
        let answer = said(false, server(500, &format!("out of\n\u{1b}[31mspace {}", "x".repeat(1000))));
        assert!(answer.starts_with(
            "the registry r.example:5000 answers 500 for room/ebpf-lab/bee: out of\\n\\u{1b}[31mspace xxx"
        ));
        assert!(answer.len() < 400 && !answer.contains("token") && !answer.contains('\n'), "{answer}");
    }

    #[test]
    fn trouble_with_tls_is_told_from_a_registry_that_is_not_there() {
        let said = |why: &str| {
            let error = no_answer("r.example", why);
            format!("{error}; {}", error.hint().unwrap_or_default())
        };
        assert!(
            said("connect: invalid peer certificate: UnknownIssuer").contains("not trusted: UnknownIssuer; name the")
        );
        assert!(said("connect: received corrupt message of type InvalidContentType").contains("--plain-http"));
        assert!(
            said("connect: Connection refused (os error 111)")
                .contains("can't be reached: connect: Connection refused")
        );
    }
}
