//! Certificates made for a test.

use std::path::PathBuf;

use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::symm::Cipher;
use openssl::x509::X509;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;

/// What stores and keys are encrypted with.
pub const PASSWORD: &str = "geheim";

/// An authority, a certificate of it for `localhost` that serves for either side, and a folder for stores.
pub struct Certificates {
    pub authority: CertifiedIssuer<'static, KeyPair>,
    pub certificate: rcgen::Certificate,
    pub key: KeyPair,
    dir: TempDir,
}

impl Certificates {
    pub fn new() -> Certificates {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        Certificates { authority, certificate, key, dir: tempfile::tempdir().unwrap() }
    }

    /// What trusts the authority and nobody else.
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        roots
    }

    /// The certificate and its key, as rustls takes them.
    pub fn chain(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der());
        (vec![self.certificate.der().clone()], key.into())
    }

    pub fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A store of the certificate and its key.
    pub fn pkcs12(&self, password: &str) -> Vec<u8> {
        let certificate = X509::from_der(self.certificate.der()).unwrap();
        let store = Pkcs12::builder().name("one").pkey(&self.private()).cert(&certificate).build2(password);
        store.unwrap().to_der().unwrap()
    }

    /// The key in PEM, behind [`PASSWORD`].
    pub fn encrypted_key(&self) -> String {
        let pem = self.private().private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), PASSWORD.as_bytes());
        String::from_utf8(pem.unwrap()).unwrap()
    }

    fn private(&self) -> PKey<Private> {
        PKey::private_key_from_der(&self.key.serialize_der()).unwrap()
    }
}
