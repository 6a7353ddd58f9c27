//! Certificates: ours towards callers, and whom we believe among upstreams.
//!
//! The cryptography provider is ring, named in each configuration, so that nothing depends on a
//! process-wide default.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::TlsFiles;

/// How to reach one upstream over TLS.
#[derive(Debug)]
pub(crate) struct Outgoing {
    name: ServerName<'static>,
    any: Arc<ClientConfig>,
    /// For tunnels, which grow out of HTTP/1.1 only.
    http1: Arc<ClientConfig>,
}

/// Reads a certificate chain and its key for our own listeners.
///
/// The error is a fragment that says what to do.
pub(crate) fn server(files: &TlsFiles) -> Result<Arc<ServerConfig>, String> {
    let chain = certificates(&files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| {
        format!("{} holds no readable private key ({error}); name a PEM file", files.key.display())
    })?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| {
            format!(
                "{} and {} do not go together ({error}); give the key of that certificate",
                files.cert.display(),
                files.key.display()
            )
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

impl Outgoing {
    /// Prepares to reach `host`, trusting the certificates in `ca` only, or else the system's.
    pub(crate) fn new(host: &str, ca: Option<&Path>, http2_only: bool) -> Result<Self, String> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("{host:?} is no name that a certificate could carry"))?;
        let base = client(ca)?;
        let mut any = base.clone();
        any.alpn_protocols = match http2_only {
            true => vec![b"h2".to_vec()],
            false => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        };
        let mut http1 = base;
        http1.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { name, any: Arc::new(any), http1: Arc::new(http1) })
    }

    pub(crate) async fn connect(
        &self,
        socket: TcpStream,
        http1_only: bool,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let config = if http1_only { &self.http1 } else { &self.any };
        TlsConnector::from(Arc::clone(config)).connect(self.name.clone(), socket).await
    }
}

fn client(ca: Option<&Path>) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let Some(ca) = ca else {
        let verifier = rustls_platform_verifier::Verifier::new(provider)
            .map_err(|error| format!("the system's certificates cannot be read ({error})"))?;
        return Ok(builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth());
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).map_err(|error| format!("{}: {error}", ca.display()))?;
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| format!("{}: {error}", ca.display()))?;
    Ok(builder.with_webpki_verifier(verifier).with_no_client_auth())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |error: &dyn std::fmt::Display| {
        format!("{} holds no readable certificate ({error}); name a PEM file", path.display())
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(|error| wrong(&error))?
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(&error))?;
    if certificates.is_empty() {
        return Err(wrong(&"it is empty"));
    }
    Ok(certificates)
}

fn ring() -> rustls::crypto::CryptoProvider {
    rustls::crypto::ring::default_provider()
}
