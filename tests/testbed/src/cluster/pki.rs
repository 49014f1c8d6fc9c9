//! The certificates and keys of one API server, made for it and thrown away with it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use crate::folder::write;

/// Files for the API server's flags, and the CA for those who call it.
#[derive(Debug)]
pub(super) struct Pki {
    /// The CA as PEM.
    pub(super) ca: String,
    /// `--tls-cert-file`
    pub(super) certificate: PathBuf,
    /// `--tls-private-key-file`
    pub(super) key: PathBuf,
    /// `--service-account-signing-key-file`
    pub(super) account_key: PathBuf,
    /// `--service-account-key-file`
    pub(super) account_public_key: PathBuf,
}

impl Pki {
    /// Makes them in `folder`. All keys are P-256: made in no time, and both rustls and Go take them.
    pub(super) fn create(folder: &Path, cluster: &str) -> Result<Self> {
        let ca_key = KeyPair::generate().context("cannot make the key of the CA")?;
        let mut ca_params = CertificateParams::default();
        ca_params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca_params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        ca_params.distinguished_name.push(DnType::CommonName, format!("mcsdns test bed CA of {cluster}"));
        let ca = ca_params.self_signed(&ca_key).context("cannot make the CA")?;
        let issuer = Issuer::new(ca_params, ca_key);

        let serving_key = KeyPair::generate().context("cannot make the key of the API server")?;
        let names = ["127.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
        let mut serving = CertificateParams::new(names.map(str::to_owned)).context("cannot name the API server")?;
        serving.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        serving.distinguished_name.push(DnType::CommonName, format!("API server of {cluster}"));
        let certificate = serving.signed_by(&serving_key, &issuer).context("cannot sign the serving certificate")?;

        let account_key = KeyPair::generate().context("cannot make the key of the service accounts")?;
        Ok(Self {
            ca: ca.pem(),
            certificate: write(folder, "serving.crt", certificate.pem())?,
            key: write(folder, "serving.key", serving_key.serialize_pem())?,
            account_key: write(folder, "accounts.key", account_key.serialize_pem())?,
            account_public_key: write(folder, "accounts.pub", account_key.public_key_pem())?,
        })
    }
}
