//! TLS on the relay's own socket: who is let in, who holds up whom, and what a renewed or a wrong certificate does.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use common::{Process, get};
use futures_util::StreamExt;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use stemma::sync::Frame;
use stemma_relay::store::MemoryStore;
use stemma_relay::tls::{TlsFiles, TlsListener};
use stemma_relay::{RelayConfig, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::client_async;

/// Nothing here takes nearly so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Makes a certificate for `localhost` in a folder; what a client has to trust.
fn certify(folder: &Path) -> CertificateDer<'static> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(folder.join("cert.pem"), cert.pem()).expect("written");
    fs::write(folder.join("key.pem"), signing_key.serialize_pem()).expect("written");
    cert.der().clone()
}

fn flags(folder: &Path) -> Vec<String> {
    let path = |name| folder.join(name).to_str().expect("a plain path").to_owned();
    vec!["--tls-cert".into(), path("cert.pem"), "--tls-key".into(), path("key.pem")]
}

async fn connect(port: u16, trusted: &CertificateDer<'static>) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).expect("a root");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let name = ServerName::try_from("localhost").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

#[tokio::test]
async fn a_relay_with_a_certificate_speaks_tls_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let trusted = certify(folder.path());
    let flags = flags(folder.path());
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let relay = Process::start(&folder.path().join("data"), &flags);
    let port = relay.address.port();

    // Whoever connects and says nothing, or something else, holds nobody up.
    let silent = TcpStream::connect(relay.address).await.expect("a connection");
    let answer = get(relay.address, "/livez").await.unwrap_or_default();
    assert!(!answer.contains("200"), "{answer}");

    let mut stream = connect(port, &trusted).await.expect("a handshake");
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await
        .expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");

    let stream = connect(port, &trusted).await.expect("a handshake");
    let (mut socket, _) =
        client_async(format!("wss://localhost:{port}/v1"), stream).await.expect("a WebSocket");
    let hello = socket.next().await.expect("a message").expect("no error").into_data();
    assert!(matches!(Frame::decode(&hello), Ok(Some(Frame::Hello(_)))));

    // And the relay is who it says: another certificate is not it.
    let other = tempfile::tempdir().expect("a folder");
    assert!(connect(port, &certify(other.path())).await.is_err());
    drop(silent);
    relay.terminate();
    assert!(relay.ended().await, "it drains as without TLS");
}

#[tokio::test]
async fn a_renewed_certificate_is_taken_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = certify(folder.path());
    let files = TlsFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = socket.local_addr().expect("an address").port();
    let listener = TlsListener::new(socket, files, Duration::from_millis(20)).expect("good files");
    let store = Arc::new(MemoryStore::default());
    let served = tokio::spawn(serve(listener, store, RelayConfig::default(), std::future::pending()));
    connect(port, &first).await.expect("the first one");

    fs::write(folder.path().join("cert.pem"), "no certificate").expect("written");
    tokio::time::sleep(Duration::from_millis(200)).await;
    connect(port, &first).await.expect("the first one stays");

    let second = certify(folder.path());
    let taken = async {
        while connect(port, &second).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, taken).await.expect("the second one is taken");
    assert!(connect(port, &first).await.is_err());
    served.abort();
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    certify(folder.path());
    let other = tempfile::tempdir().expect("a folder");
    certify(other.path());
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| folder.path().join(name).display().to_string());
    let foreign = other.path().join("key.pem").display().to_string();
    let secret = fs::read_to_string(folder.path().join("key.pem")).expect("a key");
    let secret = secret.lines().nth(1).expect("a line");
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_stemma-relay"))
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(folder.path().join("data"))
            .args(arguments)
            .output()
            .expect("it runs");
        assert!(!output.status.success(), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains(secret), "a key is told");
        said
    };
    assert!(run(&["--tls-cert", &cert]).contains("--tls-key"));
    assert!(run(&["--tls-cert", "/nowhere.pem", "--tls-key", &key]).contains("certificate in /nowhere.pem"));
    assert!(run(&["--tls-cert", &key, "--tls-key", &key]).contains(&format!("certificate in {key}: none")));
    assert!(run(&["--tls-cert", &cert, "--tls-key", &cert]).contains(&format!("private key in {cert}")));
    assert!(run(&["--tls-cert", &cert, "--tls-key", &foreign]).contains("cannot be used"));
}
