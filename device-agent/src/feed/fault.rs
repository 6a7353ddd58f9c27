//! Why no answer came: the causes that matter to a display on a wall.

use std::error::Error;
use std::{fmt, io};

use rustls::CertificateError;

use crate::agent::{Complaint, Miss};

/// Why there is no way to the gateway at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedFault {
    /// When `ca` holds no certificate.
    Roots,
    /// When the client cannot be made; says why.
    Client(String),
    /// When the sessions of direct mode cannot be kept; says why.
    #[cfg(feature = "direct")]
    Sessions(String),
}

impl fmt::Display for FeedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Roots => f.write_str("ca: the file holds no certificate; give one in PEM"),
            Self::Client(why) => {
                write!(f, "no TLS ({why}); install the system's certificates (ca-certificates)")
            }
            #[cfg(feature = "direct")]
            Self::Sessions(why) => f.write_str(why),
        }
    }
}

impl Error for FeedFault {}

/// Says what a failed request means.
pub(super) fn miss(error: &reqwest::Error) -> Miss {
    match certificate_error(error) {
        Some(
            CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. }
            | CertificateError::Expired
            | CertificateError::ExpiredContext { .. },
        ) => Miss::CertificateTime,
        Some(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => Miss::Failed(Complaint {
            what: "certificate of another name".to_owned(),
            remedy: "Let `gateway` be the name in its certificate.",
        }),
        Some(_) => Miss::Failed(Complaint {
            what: "certificate not trusted".to_owned(),
            remedy: "Let `ca` name the file of its authority.",
        }),
        None => Miss::Offline,
    }
}

/// Returns the innermost cause in words; it names hosts and numbers, and no secret.
pub(super) fn root(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn certificate_error(error: &reqwest::Error) -> Option<&CertificateError> {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(inner) = cause {
        if let Some(rustls::Error::InvalidCertificate(found)) = inner.downcast_ref() {
            return Some(found);
        }
        // An I/O error hides what it wraps behind its own method, and its source skips it.
        let wrapped = inner.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        cause = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => inner.source(),
        };
    }
    None
}
