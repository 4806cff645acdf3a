//! A certificate authority, and what it signs: for the Collector and for its client.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Files in a folder: `ca.crt`, `server.crt`, `server.key`, `client.crt`, `client.key`.
pub(crate) struct Certificates(PathBuf);

impl Certificates {
    /// Makes them. The server's is for `localhost`.
    pub(crate) fn make(folder: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        fs::create_dir_all(folder)?;
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let made = Self(folder.to_owned());
        made.write("ca.crt", &authority.pem())?;
        for (name, host) in [("server", "localhost"), ("client", "client.test")] {
            let key = KeyPair::generate()?;
            let certificate = CertificateParams::new(vec![host.to_owned()])?.signed_by(&key, &authority)?;
            made.write(&format!("{name}.crt"), &certificate.pem())?;
            made.write(&format!("{name}.key"), &key.serialize_pem())?;
        }
        Ok(made)
    }

    /// The path of one of the files.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, pem: &str) -> io::Result<()> {
        fs::write(self.path(name), pem)
    }
}
