//! TLS 1.3 with certificates on both sides: configurations for servers and clients.
//!
//! There is no configuration without client certificates and none below TLS 1.3. Sessions are
//! never resumed: a resumed session would skip the look at the revocation list. A change of
//! certificate, root or list makes a new [`TlsMaterial`] and new configurations; connections that
//! are open stay as they are, so their holder checks them again ([`TlsMaterial::still_holds`]).
//!
//! In TLS 1.3 a client has finished its handshake before the server has judged its certificate: a
//! refused client learns so when it first reads, as an alert. [`Refused::from_io`] reads it.

mod peer;

#[cfg(test)]
mod tests;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use domain::{area::AreaCode, time::UnixMillis};
use rustls::{
    ClientConfig, ServerConfig,
    client::Resumption,
    crypto::{CryptoProvider, ring},
    server::NoServerSessionStorage,
    time_provider::{DefaultTimeProvider, TimeProvider},
    version::TLS13,
};
use rustls_pki_types::{CertificateDer, ServerName};

use self::peer::{CallerVerifier, NodeVerifier};
use crate::{
    crl::{LoadListError, RevocationList, RevocationLists, VerifiedList},
    leaf::{Identity, IdentityError},
    name::{CertificateName, NameError, Suffix},
    refused::Refused,
    verify::{BadRoots, ChainVerifier, PeerIdentity, Purpose, Roots},
};

/// The only protocol spoken over TLS here.
pub const ALPN: &[u8] = b"h2";

/// Which door a server opens, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// For other nodes.
    Node,
    /// For operators' programs.
    Office,
}

impl std::fmt::Display for Api {
    /// As it stands in log lines.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Node => "node",
            Self::Office => "office",
        })
    }
}

impl Api {
    fn purpose(self) -> Purpose {
        match self {
            Self::Node => Purpose::Node,
            Self::Office => Purpose::Operator,
        }
    }
}

/// Where the files of one identity lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPaths {
    /// Certificate, then the province's CA, PEM.
    pub chain: PathBuf,
    /// Private key, PKCS #8 PEM.
    pub key: PathBuf,
    /// The root, or both roots while one replaces the other, PEM.
    pub root: PathBuf,
    /// Revocation lists, PEM, any number a file.
    pub lists: Vec<PathBuf>,
}

/// Why the files of an identity cannot be used; each says which file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Certificate or key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Root.
    #[error("the root certificate {} cannot be used: take root.pem from the authority of the network", path.display())]
    Roots {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: BadRoots,
    },
    /// Revocation lists.
    #[error(transparent)]
    Lists(#[from] LoadListError),
    /// Our own certificate would be refused by everyone.
    #[error("our own certificate in {} does not hold", path.display())]
    Own {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: Refused,
    },
}

/// The TLS library refused a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Certificate and key, or the protocol versions, do not fit.
    #[error("the TLS library refuses this certificate and key")]
    Tls(#[from] rustls::Error),
    /// A name that cannot stand in a certificate.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// An identity, and everything that others are checked against.
#[derive(Clone, Debug)]
pub struct TlsMaterial {
    identity: Arc<Identity>,
    chains: Arc<ChainVerifier>,
    clock: Arc<dyn TimeProvider>,
}

impl TlsMaterial {
    /// Loads everything from files and checks that our own certificate leads to the root.
    ///
    /// Our own certificate is checked without revocation lists: whether it is revoked is for the
    /// others to say, and a node must start with old lists to be able to fetch new ones.
    ///
    /// # Errors
    /// [`LoadError`] names the file and what to do.
    pub fn load(
        paths: &TlsPaths,
        suffix: &Suffix,
        grace: Duration,
        now: UnixMillis,
    ) -> Result<Self, LoadError> {
        let identity = Identity::load(&paths.chain, &paths.key, suffix)?;
        let roots = Roots::load(&paths.root)
            .map_err(|source| LoadError::Roots { path: paths.root.clone(), source })?;
        let lists = Self::load_lists(&paths.lists)?;
        let lists = RevocationLists::new(lists, grace);
        let chains = ChainVerifier::new(roots, suffix.clone(), lists);
        chains
            .verify_own(&identity, now)
            .map_err(|source| LoadError::Own { path: paths.chain.clone(), source })?;
        Ok(Self::new(Arc::new(identity), Arc::new(chains)))
    }

    fn load_lists(paths: &[impl AsRef<Path>]) -> Result<Vec<RevocationList>, LoadListError> {
        let mut lists = Vec::new();
        for path in paths {
            lists.extend(RevocationList::load_all(path.as_ref())?);
        }
        Ok(lists)
    }

    /// Material from parts at hand; handshakes ask the system's clock.
    #[must_use]
    pub fn new(identity: Arc<Identity>, chains: Arc<ChainVerifier>) -> Self {
        Self { identity, chains, clock: Arc::new(DefaultTimeProvider) }
    }

    /// The same with another clock, for tests and simulations.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn TimeProvider>) -> Self {
        Self { clock, ..self }
    }

    /// The same with other revocation lists: what a node does when the directory brings new ones.
    #[must_use]
    pub fn with_lists(&self, lists: RevocationLists) -> Self {
        let (roots, suffix) = (self.chains.roots().clone(), self.chains.suffix().clone());
        let chains = Arc::new(ChainVerifier::new(roots, suffix, lists));
        Self { chains, ..self.clone() }
    }

    /// The same with lists that the directory brought, each checked by
    /// [`ChainVerifier::verify_list`]: of each authority the newest list is in force, whether it
    /// came from a file or from the directory.
    #[must_use]
    pub fn with_directory_lists(&self, verified: &[VerifiedList]) -> Self {
        self.with_lists(self.chains.lists().joined(verified))
    }

    /// Our identity.
    #[must_use]
    pub fn identity(&self) -> &Arc<Identity> {
        &self.identity
    }

    /// What others are checked against.
    #[must_use]
    pub fn chains(&self) -> &Arc<ChainVerifier> {
        &self.chains
    }

    /// Configuration of a server; every caller must show a certificate of the right kind.
    ///
    /// # Errors
    /// [`ConfigError`] when the TLS library does not take our certificate and key.
    pub fn server_config(&self, api: Api) -> Result<Arc<ServerConfig>, ConfigError> {
        let callers = CallerVerifier::new(Arc::clone(&self.chains), api.purpose());
        let mut config = ServerConfig::builder_with_details(provider(), Arc::clone(&self.clock))
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(Arc::new(callers))
            .with_single_cert(self.chain(), self.identity.key().to_der())?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    /// Configuration of a client that wants the node of one area and nobody else, whatever address
    /// it dials.
    ///
    /// # Errors
    /// [`ConfigError`] when the TLS library does not take our certificate and key.
    pub fn client_config(&self, expected: AreaCode) -> Result<Arc<ClientConfig>, ConfigError> {
        self.client(NodeVerifier::new(Arc::clone(&self.chains), expected))
    }

    /// As [`TlsMaterial::client_config`], for an operator's program that holds no revocation lists:
    /// it calls its own node, and that node is not judged by lists it would have to fetch there.
    /// A node always judges by lists, whichever of the two it asks for.
    ///
    /// # Errors
    /// [`ConfigError`] when the TLS library does not take our certificate and key.
    pub fn client_config_without_lists(
        &self,
        expected: AreaCode,
    ) -> Result<Arc<ClientConfig>, ConfigError> {
        match self.identity.name() {
            CertificateName::Node(_) => self.client_config(expected),
            CertificateName::Operator { .. } => {
                self.client(NodeVerifier::without_lists(Arc::clone(&self.chains), expected))
            }
        }
    }

    fn client(&self, node: NodeVerifier) -> Result<Arc<ClientConfig>, ConfigError> {
        let mut config = ClientConfig::builder_with_details(provider(), Arc::clone(&self.clock))
            .with_protocol_versions(&[&TLS13])?
            // "Dangerous" is the library's word for a verifier of one's own; ours checks more.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(node))
            .with_client_auth_cert(self.chain(), self.identity.key().to_der())?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }

    /// The name to ask for (SNI) when calling the node of an area.
    ///
    /// # Errors
    /// [`ConfigError::Name`] when the area has more than six digits.
    pub fn server_name(&self, area: AreaCode) -> Result<ServerName<'static>, ConfigError> {
        let name = CertificateName::Node(area).to_dns(self.chains.suffix())?;
        ServerName::try_from(name).map_err(|_| ConfigError::Name(NameError::Shape))
    }

    /// Who the other end of an established connection is; `chain` as the TLS library gives it.
    ///
    /// # Errors
    /// [`Refused`] when the chain does not hold (any more).
    pub fn still_holds(
        &self,
        chain: &[CertificateDer<'_>],
        api: Api,
        now: UnixMillis,
    ) -> Result<PeerIdentity, Refused> {
        Ok(self.chains.verify(chain, api.purpose(), now)?.identity.clone())
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.identity.chain().iter().map(|der| CertificateDer::from(der.clone())).collect()
    }
}

/// Algorithms of the profile `international`: ring, AES and ChaCha20 suites of TLS 1.3.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
