//! TLS on the relay's own socket, for a node without a proxy before it (RFC 8446, and TLS 1.2 for those who have no more).
//!
//! Handshakes run beside one another, so many at a time and each within a limit, so that whoever connects and says nothing holds
//! up nobody for long. The files are read again when they have changed: a renewed certificate needs no restart.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;
use tracing::{info, warn};

/// From the connection to the end of its handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Handshakes at a time.
const HANDSHAKES_MAX: usize = 1_024;

/// How often a node looks at the files.
pub const RENEWAL: Duration = Duration::from_secs(60);

/// After a connection that could not be taken, for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// The files of a certificate, in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, and behind it those that lead to its issuer.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why there is no TLS. Says nothing of a key but where it lies.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read, or holds something else.
    #[error("{what} in {path}: {why}")]
    File {
        /// What was looked for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The two do not belong together, or cannot be used.
    #[error("the certificate and the key cannot be used: {0}")]
    Pair(String),
    /// The socket.
    #[error("socket: {0}")]
    Socket(#[from] io::Error),
}

impl TlsFiles {
    fn load(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let wrong = |what, path: &Path, why: String| TlsError::File { what, path: path.to_owned(), why };
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(|certificates| certificates.collect::<Result<Vec<_>, _>>())
            .map_err(|error| wrong("certificate", &self.certificate, error.to_string()))?;
        if chain.is_empty() {
            return Err(wrong("certificate", &self.certificate, "none is there".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| wrong("private key", &self.key, error.to_string()))?;
        let provider = Arc::new(ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| TlsError::Pair(error.to_string()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// When the files were written last; another answer asks for another look.
    fn written(&self) -> [Option<SystemTime>; 2] {
        [&self.certificate, &self.key].map(|path| path.metadata().and_then(|file| file.modified()).ok())
    }
}

/// A socket whose connections have shaken hands.
pub struct TlsListener {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
    /// Ends the accepting task with this.
    _open: watch::Sender<()>,
}

impl TlsListener {
    /// Takes the connections of a socket, and looks at the files every so often. To be called within a runtime.
    ///
    /// # Errors
    /// If the files cannot be used, or the socket has no address.
    pub fn new(listener: TcpListener, files: TlsFiles, renewal: Duration) -> Result<Self, TlsError> {
        let written = files.written();
        let current = Arc::new(Mutex::new(files.load()?));
        let address = listener.local_addr()?;
        let (done, ready) = mpsc::channel(1);
        let (open, mut closed) = watch::channel(());
        let renewed = Arc::clone(&current);
        tokio::spawn(async move {
            let work = async {
                tokio::join!(accept(listener, current, done), renew(files, written, renewed, renewal));
            };
            tokio::select! {
                () = work => {}
                _ = closed.changed() => {}
            }
        });
        Ok(Self { ready, address, _open: open })
    }
}

async fn accept(
    listener: TcpListener,
    current: Arc<Mutex<Arc<ServerConfig>>>,
    done: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let permit = Arc::clone(&handshakes).acquire_owned().await.expect("it is never closed");
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "a connection could not be taken");
                sleep(PAUSE).await;
                continue;
            }
        };
        let acceptor = TlsAcceptor::from(Arc::clone(&current.lock().expect("taking does not panic")));
        let done = done.clone();
        tokio::spawn(async move {
            // Whoever does not shake hands is told by TLS itself, if at all.
            if let Ok(Ok(stream)) = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                drop(permit);
                let _ = done.send((stream, address)).await;
            }
        });
    }
}

/// Takes changed files. What cannot be used is told, and what was used before goes on.
async fn renew(
    files: TlsFiles,
    mut written: [Option<SystemTime>; 2],
    current: Arc<Mutex<Arc<ServerConfig>>>,
    renewal: Duration,
) {
    let mut look = interval(renewal);
    loop {
        look.tick().await;
        let now = files.written();
        if now == written {
            continue;
        }
        written = now;
        match files.load() {
            Ok(config) => {
                *current.lock().expect("taking does not panic") = config;
                info!("took the new certificate");
            }
            Err(error) => warn!(%error, "the new certificate cannot be used, the old one stays"),
        }
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        self.ready.recv().await.expect("the accepting task ends with this")
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
