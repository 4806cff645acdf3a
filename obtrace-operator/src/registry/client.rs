//! A look-up: from a reference to the image's configuration, over the network.
//!
//! Source: the [OCI distribution specification](https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md), and the
//! [token flow](https://distribution.github.io/distribution/spec/auth/token/).
//!
//! Nobody who answers is trusted: whatever has a digest is verified, every body is bounded, redirects are few, and no credentials go
//! where the registry has not asked for them.

use std::{error::Error, sync::Arc, time::Duration};

use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE},
};
use obtrace_detect::ImageConfig;
use reqwest::{Response, Url, redirect};
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt as _;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{
    challenge::Challenge,
    credentials::Credentials,
    egress::{Barred, Egress},
    manifest::{ACCEPT as MANIFESTS, Manifest},
    reference::{Reference, Version},
};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a request may take, its answer's body included.
pub(super) const REQUEST: Duration = Duration::from_secs(15);
/// The largest manifest that is read, in bytes: what registries take at most.
pub(super) const MOST_MANIFEST: usize = 4 << 20;
/// The largest configuration that is read, in bytes. Its history may be long; the rest is small.
pub(super) const MOST_CONFIG: usize = 1 << 20;
/// The largest answer about a token, in bytes.
const MOST_TOKEN: usize = 64 << 10;
/// How often a request is sent elsewhere.
const MOST_REDIRECTS: u32 = 3;

/// The digest of a manifest, beside it.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// Why a look-up came to nothing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Fault {
    /// Who asked may not know, or there is no such thing: some registries tell no difference.
    #[error("the registry refuses it ({0})")]
    Refused(u16),
    /// There is no such image.
    #[error("the registry has no such image")]
    Absent,
    /// The registry has no time now, and maybe said for how long.
    #[error("the registry answers {0}")]
    Busy(u16, Option<Duration>),
    /// There was no answer.
    #[error("the registry does not answer: {0}")]
    Away(String),
    /// Nobody is asked there.
    #[error(transparent)]
    Barred(#[from] Barred),
    /// The answer is none.
    #[error("{0}")]
    Odd(String),
}

/// What a look-up has found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    /// What the reference's manifest, or index, adds up to.
    pub(super) digest: String,
    /// The configuration, unless that digest is known.
    pub(super) config: Option<ImageConfig<'static>>,
}

/// Asks registries.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    /// For what is named, whatever its address.
    named: reqwest::Client,
    egress: Arc<Egress>,
}

impl Client {
    /// A client that trusts whom the system trusts, asks where `egress` lets it, and waits `within` for each answer.
    pub(super) fn new(egress: Egress, within: Duration) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_platform_verifier());
        let tls = tls.map_err(|error| error.to_string())?.with_no_client_auth();
        let builder = || {
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .redirect(redirect::Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .user_agent(concat!("obtrace-zero/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT)
                .timeout(within)
                .pool_idle_timeout(Duration::from_secs(15))
                .pool_max_idle_per_host(2)
        };
        let http = builder().dns_resolver(egress.resolver()).build().map_err(said)?;
        let named = builder().build().map_err(said)?;
        Ok(Self { http, named, egress: Arc::new(egress) })
    }

    /// Looks an image up. `previous` is the digest that the reference had; what [is known](Found::config) is not fetched again.
    pub(super) async fn look_up(
        &self,
        image: &Reference,
        credentials: &Credentials,
        previous: Option<&str>,
        is_known: impl Fn(&str) -> bool,
    ) -> Result<Found, Fault> {
        self.egress.registry(image)?;
        let scheme = if self.egress.is_insecure(&image.host) { "http" } else { "https" };
        let base = format!("{scheme}://{}/v2/{}/", image.api_host(), image.repository);
        let base = Url::parse(&base).map_err(|_| Fault::Odd("its name makes no address".to_owned()))?;
        let mut session = Session { client: self, base, image, credentials, authorization: None };
        // A question without a body counts for nothing where pulls are counted.
        if let Some(previous) = previous
            && session.digest(image.version()).await?.as_deref() == Some(previous)
        {
            return Ok(Found { digest: previous.to_owned(), config: None });
        }
        let wanted = if let Version::Digest(digest) = &image.version { Some(digest.as_str()) } else { None };
        let (digest, manifest) = session.manifest(image.version(), wanted).await?;
        if is_known(&digest) {
            return Ok(Found { digest, config: None });
        }
        let manifest = match manifest {
            Manifest::Index(chosen) => session.manifest(&chosen, Some(&chosen)).await?.1,
            image @ Manifest::Image(..) => image,
        };
        let Manifest::Image(config, size) = manifest else {
            return Err(Fault::Odd("its index refers to another index".to_owned()));
        };
        let config = session.config(&config, size).await?;
        Ok(Found { digest, config: Some(config) })
    }

    /// Whether something may be asked for there.
    fn may(&self, url: &Url) -> bool {
        match url.scheme() {
            "https" => url.has_host(),
            "http" => self.egress.is_insecure(&authority(url)),
            _ => false,
        }
    }

    /// What asks there, if anything may.
    fn at(&self, url: &Url) -> Result<&reqwest::Client, Fault> {
        self.egress.address(url)?;
        Ok(if self.egress.is_named(url) { &self.named } else { &self.http })
    }
}

/// The questions about one image.
struct Session<'a> {
    client: &'a Client,
    /// Where the repository is.
    base: Url,
    image: &'a Reference,
    credentials: &'a Credentials,
    authorization: Option<HeaderValue>,
}

impl Session<'_> {
    /// The digest that a version has, if the registry tells it without being asked for more.
    async fn digest(&mut self, version: &str) -> Result<Option<String>, Fault> {
        let url = self.url(&format!("manifests/{version}"))?;
        match self.send(Method::HEAD, url).await {
            Ok(response) => Ok(content_digest(response.headers())),
            // Not every registry knows this question.
            Err(Fault::Odd(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// A manifest with its digest, which has to be the `wanted` one.
    async fn manifest(&mut self, version: &str, wanted: Option<&str>) -> Result<(String, Manifest), Fault> {
        let url = self.url(&format!("manifests/{version}"))?;
        let response = self.send(Method::GET, url).await?;
        let told = content_digest(response.headers());
        let bytes = body(response, MOST_MANIFEST, "its manifest").await?;
        let digest = sha256(&bytes);
        if wanted.or(told.as_deref()).is_some_and(|wanted| wanted != digest) {
            return Err(Fault::Odd("its manifest is not what its digest says".to_owned()));
        }
        let manifest = Manifest::parse(&bytes, architecture())?;
        Ok((digest, manifest))
    }

    async fn config(&mut self, digest: &str, size: u64) -> Result<ImageConfig<'static>, Fault> {
        let what = "its configuration";
        if size > MOST_CONFIG as u64 {
            return Err(Fault::Odd(format!("{what} has {size} bytes; at most {MOST_CONFIG} are read")));
        }
        let url = self.url(&format!("blobs/{digest}"))?;
        let response = self.send(Method::GET, url).await?;
        let bytes = body(response, MOST_CONFIG, what).await?;
        if sha256(&bytes) != digest {
            return Err(Fault::Odd(format!("{what} is not what its digest says")));
        }
        ImageConfig::parse(&bytes).map_err(|error| Fault::Odd(error.to_string()))
    }

    fn url(&self, path: &str) -> Result<Url, Fault> {
        // A digest has a colon: alone it would be taken for a scheme.
        self.base.join(&format!("./{path}")).map_err(|_| Fault::Odd("its name makes no address".to_owned()))
    }

    /// Asks, says who asks if that is wanted, and goes where the answer is.
    async fn send(&mut self, method: Method, url: Url) -> Result<Response, Fault> {
        let (mut url, mut redirects, mut asked) = (url, 0, false);
        loop {
            let at_home = url.origin() == self.base.origin();
            let mut request = self.client.at(&url)?.request(method.clone(), url.clone()).header(ACCEPT, MANIFESTS);
            if let Some(authorization) = self.authorization.as_ref().filter(|_| at_home) {
                request = request.header(AUTHORIZATION, authorization);
            }
            let response = request.send().await.map_err(unsent)?;
            match response.status() {
                StatusCode::OK => return Ok(response),
                StatusCode::UNAUTHORIZED if at_home && !asked => {
                    asked = true;
                    self.authorization = Some(self.authorize(response.headers()).await?);
                }
                status if status.is_redirection() => {
                    redirects += 1;
                    url = self.redirected(&url, response.headers(), redirects)?;
                }
                status => return Err(fault(status, response.headers())),
            }
        }
    }

    fn redirected(&self, from: &Url, headers: &HeaderMap, count: u32) -> Result<Url, Fault> {
        let to = headers.get(LOCATION).and_then(|value| value.to_str().ok()).and_then(|text| from.join(text).ok());
        match to {
            _ if count > MOST_REDIRECTS => {
                Err(Fault::Odd(format!("the registry redirects more than {MOST_REDIRECTS} times")))
            }
            Some(to) if self.client.may(&to) => Ok(to),
            Some(_) => Err(Fault::Odd("the registry redirects to an address without TLS".to_owned())),
            None => Err(Fault::Odd("the registry redirects to nowhere".to_owned())),
        }
    }

    /// What is sent to be let in, as the registry asks for it.
    async fn authorize(&self, headers: &HeaderMap) -> Result<HeaderValue, Fault> {
        let challenges = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let challenges: Vec<_> = challenges.filter_map(Challenge::parse).collect();
        let bearer = challenges.iter().find(|it| matches!(it, Challenge::Bearer { .. }));
        match (bearer.or(challenges.first()), self.credentials) {
            (Some(Challenge::Bearer { realm, service }), _) => self.token(realm, service.as_deref()).await,
            (Some(Challenge::Basic), Credentials::Password(name, password)) => basic(name, password),
            _ => Err(Fault::Refused(StatusCode::UNAUTHORIZED.as_u16())),
        }
    }

    /// A token to pull the repository with.
    async fn token(&self, realm: &str, service: Option<&str>) -> Result<HeaderValue, Fault> {
        let odd = |what: &str| Fault::Odd(format!("the registry's token service {what}"));
        let mut url = Url::parse(realm).map_err(|_| odd("has no address"))?;
        if !self.client.may(&url) {
            return Err(odd("has an address without TLS"));
        }
        let http = self.client.at(&url)?;
        let scope = format!("repository:{}:pull", self.image.repository);
        let mut fields = vec![("scope", scope.as_str())];
        fields.extend(service.map(|service| ("service", service)));
        let request = match self.credentials {
            Credentials::Identity(token) => {
                fields.extend([
                    ("grant_type", "refresh_token"),
                    ("client_id", "obtrace-zero"),
                    ("refresh_token", token),
                ]);
                let mut form = url.clone();
                form.query_pairs_mut().clear().extend_pairs(fields);
                let form = form.query().unwrap_or_default().to_owned();
                http.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form)
            }
            Credentials::Anonymous | Credentials::Password(..) => {
                url.query_pairs_mut().extend_pairs(fields);
                http.get(url)
            }
        };
        let request = match self.credentials {
            Credentials::Password(name, password) => request.header(AUTHORIZATION, basic(name, password)?),
            Credentials::Anonymous | Credentials::Identity(_) => request,
        };
        let response = request.send().await.map_err(unsent)?;
        if response.status() != StatusCode::OK {
            return Err(match fault(response.status(), response.headers()) {
                Fault::Absent => odd("is not there"),
                // So it says that a grant is not valid, or a scope not for who asks: RFC 6749, section 5.2.
                Fault::Odd(_) if response.status() == StatusCode::BAD_REQUEST => {
                    Fault::Refused(response.status().as_u16())
                }
                other => other,
            });
        }
        let bytes = body(response, MOST_TOKEN, "the answer about a token").await?;
        #[derive(Deserialize)]
        struct Answer {
            token: Option<String>,
            access_token: Option<String>,
        }
        let answer = serde_json::from_slice::<Answer>(&bytes).ok();
        let token = answer.and_then(|answer| answer.token.or(answer.access_token));
        let value = token.and_then(|token| HeaderValue::try_from(format!("Bearer {token}")).ok());
        value.map(secret).ok_or_else(|| odd("gives no token"))
    }
}

fn secret(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

fn basic(name: &str, password: &str) -> Result<HeaderValue, Fault> {
    let pair = k8s_openapi::ByteString(format!("{name}:{password}").into_bytes());
    let encoded = serde_json::to_value(&pair).ok();
    let encoded = encoded.as_ref().and_then(|it| it.as_str()).unwrap_or_default();
    let value = HeaderValue::try_from(format!("Basic {encoded}"));
    value.map(secret).map_err(|_| Fault::Odd("the pull secret's password makes no header".to_owned()))
}

/// The host, and the port if it is not the scheme's own.
pub(super) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn content_digest(headers: &HeaderMap) -> Option<String> {
    headers.get(CONTENT_DIGEST).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// What an answer other than 200 means.
fn fault(status: StatusCode, headers: &HeaderMap) -> Fault {
    let code = status.as_u16();
    match code {
        401 | 403 => Fault::Refused(code),
        404 => Fault::Absent,
        429 | 500..=599 => {
            let seconds =
                headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
            Fault::Busy(code, seconds.map(Duration::from_secs))
        }
        _ => Fault::Odd(format!("the registry answers {code}")),
    }
}

/// A body, if it is no longer than that.
async fn body(mut response: Response, most: usize, what: &str) -> Result<Vec<u8>, Fault> {
    let too_long = || Fault::Odd(format!("{what} has more than {most} bytes"));
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Fault::Away(said(error)))? {
        if chunk.len() > most.saturating_sub(bytes.len()) {
            return Err(too_long());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        // Writing into a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Why a request had no answer.
fn unsent(error: reqwest::Error) -> Fault {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(found) = cause {
        if let Some(barred) = found.downcast_ref::<Barred>() {
            return Fault::Barred(*barred);
        }
        cause = found.source();
    }
    Fault::Away(said(error))
}

/// What the innermost of an error's causes says, without the address.
fn said(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let error = error.without_url();
    let mut deepest: &dyn Error = &error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// The word of images for what this program runs on; the nodes will mostly be the same.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests;
