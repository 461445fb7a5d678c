//! What went wrong with a store, by what an operator or a caller does about it.

use std::error::Error as StdError;
use std::time::Duration;

use object_store::Error;
use thiserror::Error as ThisError;

use super::wire::Throttle;

#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[error("{path}: {what}")]
pub struct StoreError {
    pub path: String,
    pub what: String,
    pub kind: ErrorKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// No answer, a late one, or one of a server that is not well. It comes back.
    Away,
    /// The store asks for fewer requests, and may say when to come again.
    Throttled { after: Option<Duration> },
    /// Credentials are missing, wrong or have no right to this. An operator mends it, and trying again finds out.
    Denied,
    /// There is no such bucket. Somebody makes it, or mends the address of the next start.
    NoBucket,
    /// Trying again can not help.
    Permanent,
}

impl StoreError {
    /// Whether trying again can help.
    pub fn is_transient(&self) -> bool {
        self.kind != ErrorKind::Permanent
    }

    pub fn away(path: &str, what: impl ToString) -> StoreError {
        StoreError { path: path.to_owned(), what: what.to_string(), kind: ErrorKind::Away }
    }

    pub fn permanent(path: &str, what: impl ToString) -> StoreError {
        StoreError { path: path.to_owned(), what: what.to_string(), kind: ErrorKind::Permanent }
    }

    pub(super) fn of(path: &str, error: &Error) -> StoreError {
        let said = Said::of(error);
        let throttle = chain(error).find_map(|link| link.downcast_ref::<Throttle>());
        let (kind, what) = match error {
            _ if throttle.is_some() => {
                let after = throttle.and_then(|throttle| throttle.after);
                (ErrorKind::Throttled { after }, format!("the store asks for fewer requests: {said}"))
            }
            Error::NotSupported { .. }
            | Error::NotImplemented { .. }
            | Error::InvalidPath { .. }
            | Error::UnknownConfigurationKey { .. } => (ErrorKind::Permanent, said.text.clone()),
            _ if said.lacks_credentials() => (
                ErrorKind::Denied,
                format!(
                    "there are no credentials in the environment, and the machine's role can not be asked: {said}"
                ),
            ),
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
                (ErrorKind::Denied, format!("the store refuses: {said}"))
            }
            _ if said.is_of(&REFUSALS) => (ErrorKind::Denied, format!("the store refuses: {said}")),
            _ if said.is_of(&NO_BUCKET) => (ErrorKind::NoBucket, format!("there is no such bucket: {said}")),
            _ => (ErrorKind::Away, said.to_string()),
        };
        StoreError { path: path.to_owned(), what, kind }
    }
}

/// Whether it says that there is no such object. A bucket or a user that was not found is another thing: the object may well be there.
pub(super) fn is_no_object(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. }) && Said::of(error).is_of(&NO_OBJECT)
}

/// Codes of answers with other statuses than 401 and 403 that mean the same.
const REFUSALS: [&str; 5] = [
    "ExpiredToken",
    "InvalidToken",
    "AuthorizationHeaderMalformed",
    "AuthenticationFailed",
    // Versitygw does not know the user.
    "XAdminUserNotFound",
];
/// None at all of a folder, and in the answer to a HEAD.
const NO_OBJECT: [&str; 4] = ["", "NoSuchKey", "BlobNotFound", "ResourceNotFound"];
const NO_BUCKET: [&str; 2] = ["NoSuchBucket", "ContainerNotFound"];
/// Where machines of the clouds are asked for their role.
const ROLE_SERVICES: [&str; 3] = ["169.254.169.254", "metadata.google.internal", "169.254.170.2"];

/// The heart of an error: object_store wraps it into addresses, times and XML.
struct Said {
    text: String,
    code: String,
    /// All of it.
    long: String,
}

impl Said {
    fn of(error: &Error) -> Said {
        const STATUS: &str = "status code: ";
        let links: Vec<String> = chain(error).map(ToString::to_string).collect();
        let long = links.first().cloned().unwrap_or_default();
        let answer = links.iter().rev().find_map(|link| link.split_once(STATUS)).map(|(_, answer)| answer);
        let Some(answer) = answer else {
            // The cause last: `connection refused` and not `client error`.
            return Said { text: links.last().cloned().unwrap_or_default(), code: String::new(), long };
        };
        let (status, body) = answer.split_once(": ").unwrap_or((answer, ""));
        let tag = |name: &str| body.split_once(&format!("<{name}>"))?.1.split('<').next();
        let code = tag("Code").unwrap_or_default().to_owned();
        let message = tag("Message").unwrap_or_default().lines().next().unwrap_or_default();
        let parts = [status, &code, message];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Said { text: parts.join(": "), code, long }
    }

    fn is_of(&self, codes: &[&str]) -> bool {
        codes.contains(&self.code.as_str())
    }

    fn lacks_credentials(&self) -> bool {
        ROLE_SERVICES.iter().any(|service| self.long.contains(service))
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

fn chain(error: &Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    let first: &(dyn StdError + 'static) = error;
    std::iter::successors(Some(first), |error| (*error).source())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> Error {
        Error::Generic { store: "S3", source: text.to_owned().into() }
    }

    #[test]
    fn the_heart_of_an_error() {
        let answer = "Error performing PUT http://127.0.0.1/lake/x in 1s - Server returned non-2xx status code: \
                      400 Bad Request: <?xml?><Error><Code>ExpiredToken</Code><Message>it is\nover</Message></Error>";
        let refused = StoreError::of("a/b", &error(answer));
        assert_eq!(refused.to_string(), "a/b: the store refuses: 400 Bad Request: ExpiredToken: it is");
        assert_eq!(refused.kind, ErrorKind::Denied);
        let away = StoreError::of("a", &error("Connection refused (os error 111)"));
        assert_eq!((away.kind, away.what.as_str()), (ErrorKind::Away, "Connection refused (os error 111)"));
        let none = StoreError::of("a", &error("Error performing PUT http://169.254.169.254/latest in 1s"));
        assert!(
            none.kind == ErrorKind::Denied && none.what.starts_with("there are no credentials"),
            "{none}"
        );
        let source = "status code: 404 Not Found: <Error><Code>NoSuchBucket</Code></Error>".into();
        let gone = Error::NotFound { path: "a".into(), source };
        assert!(!is_no_object(&gone));
        assert_eq!(StoreError::of("a", &gone).kind, ErrorKind::NoBucket);
        let source = "status code: 404 Not Found: <Error><Code>NoSuchKey</Code></Error>".into();
        assert!(is_no_object(&Error::NotFound { path: "a".into(), source }));
        let unknown = Error::UnknownConfigurationKey { store: "S3", key: "x".into() };
        assert!(!StoreError::of("a", &unknown).is_transient());
    }
}
