use std::{env, fs, path::PathBuf, process, sync::atomic::AtomicU32};

use rcgen::{CertificateParams, KeyPair};

use super::*;

/// A folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("obtrace-tls-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, contents: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, contents).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A certificate that is its own issuer, and its key.
fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn setup(tls: &Tls) -> Result<ClientConfig, String> {
    tls.client_config(true, &[b"h2"]).map(|(config, _)| config).map_err(|error| error.to_string())
}

#[test]
fn files_that_cannot_be_used_are_named_with_the_reason() {
    let folder = Folder::new();
    let (certificate, key) = pair();
    let (_, other) = pair();
    let (crt, tls_key) = (folder.write("tls.crt", &certificate), folder.write("tls.key", &key));
    let (other, empty) = (folder.write("other.key", &other), folder.write("empty", "no PEM here\n"));
    let garbled = folder.write("garbled", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let missing = folder.0.join("missing");
    assert!(setup(&Tls::new().with_ca(&crt).with_client(&crt, &tls_key)).is_ok());
    for (tls, file, reason) in [
        (Tls::new().with_ca(&missing), &missing, "No such file"),
        (Tls::new().with_ca(&folder.0), &folder.0, "directory"),
        (Tls::new().with_ca(&empty), &empty, "no PEM certificate"),
        (Tls::new().with_ca(&garbled), &garbled, "BadEncoding"),
        (Tls::new().with_client(&missing, &tls_key), &missing, "No such file"),
        (Tls::new().with_client(&crt, &missing), &missing, "No such file"),
        (Tls::new().with_client(&tls_key, &tls_key), &tls_key, "no PEM certificate"),
        (Tls::new().with_client(&crt, &crt), &crt, "no PEM key"),
        (Tls::new().with_client(&crt, &other), &other, "not the key of the certificate"),
    ] {
        let said = setup(&tls).unwrap_err();
        assert!(said.contains(file.to_str().unwrap()) && said.contains(reason), "{said}");
        assert!(!said.contains("BEGIN PRIVATE"), "{said}");
    }
}

/// To open a pipe waits for who writes to it, and everything with it.
#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_refused_at_once() {
    let folder = Folder::new();
    let (certificate, key) = pair();
    let (crt, tls_key) = (folder.write("tls.crt", &certificate), folder.write("tls.key", &key));
    let (link, pipe) = (folder.0.join("link"), folder.0.join("pipe"));
    assert!(process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::os::unix::fs::symlink(&pipe, &link).unwrap();
    for (tls, file) in [
        (Tls::new().with_ca(&pipe), &pipe),
        (Tls::new().with_ca(&link), &link),
        (Tls::new().with_client(&crt, &pipe), &pipe),
        (Tls::new().with_ca("/dev/zero"), &PathBuf::from("/dev/zero")),
    ] {
        let said = setup(&tls).unwrap_err();
        assert!(said.contains(file.to_str().unwrap()) && said.contains("must be a regular file"), "{said}");
    }
    // As a Secret is mounted: by a link.
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&crt, &link).unwrap();
    assert!(setup(&Tls::new().with_ca(&link).with_client(&link, &tls_key)).is_ok());
}

#[test]
fn without_tls_no_file_is_read() {
    assert!(Tls::new().with_ca("/nowhere").client_config(false, &[]).is_ok());
}

#[test]
fn a_file_that_breaks_leaves_what_it_held() {
    let folder = Folder::new();
    let path = folder.write("a", "1");
    let make = |contents: &[Vec<u8>]| {
        String::from_utf8_lossy(&contents[0]).parse::<u32>().map_err(|error| (0, error.to_string()))
    };
    let files = Files::open(vec![path.clone()], Box::new(make)).unwrap();
    assert_eq!(files.read_again(), 1);
    folder.write("a", "2");
    assert_eq!((files.last(), files.read_again(), files.last()), (1, 2, 2));
    for broken in ["", "3x"] {
        folder.write("a", broken);
        assert_eq!(files.read_again(), 2);
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(files.read_again(), 2);
    folder.write("a", "3");
    assert_eq!(files.read_again(), 3);
    fs::write(&path, vec![b' '; 5 << 20]).unwrap();
    assert_eq!(files.read_again(), 3, "a file without end is not read whole");
}

#[test]
fn the_tls_error_is_found_below_others() {
    let inner = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
    let error = std::io::Error::other(std::io::Error::other(inner));
    let handshakes = |tls: Tls| Handshakes { tls, asked: Arc::default() };
    let said = handshakes(Tls::new().with_ca("/etc/ca.pem")).described(&error);
    assert!(said.contains("UnknownIssuer") && said.contains("not issued by one in /etc/ca.pem"), "{said}");
    let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
    let said = handshakes(Tls::new()).described(&alert);
    assert!(said.contains("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"), "{said}");
    let plain = std::io::Error::other("plain");
    let asked = handshakes(Tls::new().with_client("/tls.crt", "/tls.key"));
    assert_eq!(asked.described(&plain), "plain");
    asked.asked.store(true, Ordering::Relaxed);
    assert!(asked.described(&plain).contains("/tls.crt"));
    asked.succeeded();
    assert_eq!(asked.described(&plain), "plain");
}
