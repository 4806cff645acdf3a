//! The request and the answer of an admission webhook: `AdmissionReview` of `admission.k8s.io/v1`.
//!
//! ```
//! use obtrace_patch::{Settings, plan, review::{self, Review}};
//!
//! let request = br#"{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
//!     "uid": "705ab4f5", "namespace": "shop", "operation": "CREATE",
//!     "kind": {"group": "", "version": "v1", "kind": "Pod"},
//!     "object": {"spec": {"containers": [{"name": "web"}]}}}}"#;
//! let review = Review::parse(request)?;
//! let pod = review.pod()?.expect("a Pod");
//! let mut settings = Settings::new("https://ingest.example.com");
//! settings.namespace = Some(review.namespace().unwrap_or_default().to_owned());
//! let answer = review::respond(review.uid(), &plan(pod, &settings).patch(), &[] as &[&str]);
//! assert!(answer.starts_with(br#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","#));
//! # Ok::<(), obtrace_patch::ParseError>(())
//! ```

use std::borrow::Cow;

use crate::{
    error::ParseError,
    json::{Cursor, push_string},
    patch::Patch,
    pod::Pod,
};

/// What the API server asks.
#[derive(Clone, Debug, Default)]
pub struct Review<'a> {
    uid: Cow<'a, str>,
    namespace: Option<Cow<'a, str>>,
    name: Option<Cow<'a, str>>,
    operation: Option<Cow<'a, str>>,
    kind: [Option<Cow<'a, str>>; 3],
    dry_run: bool,
    object: Option<&'a [u8]>,
    pod: Option<Result<Pod<'a>, ParseError>>,
}

impl<'a> Review<'a> {
    /// Reads a review, and the Pod in it in the same pass.
    ///
    /// # Errors
    /// If the bytes are not JSON, if a field has another type than Kubernetes gives it, or if there is no request with a
    /// `uid`. What is wrong with the Pod itself is told by [`pod`](Self::pod).
    pub fn parse(json: &'a [u8]) -> Result<Self, ParseError> {
        let mut review = None;
        let mut cursor = Cursor::new(json);
        cursor.object(|key, cursor| {
            match key {
                b"request" => review = Some(Self::read(cursor)?),
                _ => drop(cursor.skip()?),
            }
            Ok(())
        })?;
        cursor.end()?;
        let review: Option<Self> = review.filter(|review: &Self| !review.uid.is_empty());
        review.ok_or(ParseError::expected(0, "an AdmissionReview with a request and its uid"))
    }

    fn read(cursor: &mut Cursor<'a>) -> Result<Self, ParseError> {
        let mut review = Self::default();
        if cursor.null() {
            return Ok(review);
        }
        cursor.object(|key, cursor| {
            match key {
                b"uid" => review.uid = cursor.optional_string()?.unwrap_or_default(),
                b"namespace" => review.namespace = cursor.optional_string()?,
                b"name" => review.name = cursor.optional_string()?,
                b"operation" => review.operation = cursor.optional_string()?,
                b"kind" => review.read_kind(cursor)?,
                b"dryRun" => review.dry_run = cursor.boolean()?.unwrap_or_default(),
                b"object" => (review.object, review.pod) = object(cursor)?,
                _ => drop(cursor.skip()?),
            }
            Ok(())
        })?;
        Ok(review)
    }

    fn read_kind(&mut self, cursor: &mut Cursor<'a>) -> Result<(), ParseError> {
        if cursor.null() {
            return Ok(());
        }
        let [group, version, kind] = &mut self.kind;
        cursor.object(|key, cursor| {
            match key {
                b"group" => *group = cursor.optional_string()?,
                b"version" => *version = cursor.optional_string()?,
                b"kind" => *kind = cursor.optional_string()?,
                _ => drop(cursor.skip()?),
            }
            Ok(())
        })
    }

    /// The request's id, which the answer repeats.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// The namespace that the object is or will be in.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref().filter(|namespace| !namespace.is_empty())
    }

    /// The object's name; none where the API server is to make one up.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref().filter(|name| !name.is_empty())
    }

    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`.
    #[must_use]
    pub fn operation(&self) -> Option<&str> {
        self.operation.as_deref()
    }

    /// Group, version and kind of the object; the group of Pods is empty.
    #[must_use]
    pub fn kind(&self) -> (&str, &str, &str) {
        let [group, version, kind] = &self.kind;
        (
            group.as_deref().unwrap_or_default(),
            version.as_deref().unwrap_or_default(),
            kind.as_deref().unwrap_or_default(),
        )
    }

    /// Whether nothing may come of the answer but the answer.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// The object as a Pod, which it is if [`kind`](Self::kind) says so; `None` if there is no object.
    ///
    /// # Errors
    /// As [`Pod::parse`]; the offset is the one in the review.
    pub fn pod(&self) -> Result<Option<&Pod<'a>>, ParseError> {
        match &self.pod {
            Some(Ok(pod)) => Ok(Some(pod)),
            Some(Err(error)) => Err(*error),
            None => Ok(None),
        }
    }

    /// The object as JSON.
    #[must_use]
    pub fn object(&self) -> Option<&'a [u8]> {
        self.object
    }
}

/// An object's bytes, and the Pod that they make.
type Object<'a> = (Option<&'a [u8]>, Option<Result<Pod<'a>, ParseError>>);

/// Reads the object as a Pod; if it is none, steps over it all the same.
fn object<'a>(cursor: &mut Cursor<'a>) -> Result<Object<'a>, ParseError> {
    if cursor.null() {
        return Ok((None, None));
    }
    let start = cursor.clone();
    match Pod::read(cursor) {
        Ok(pod) => Ok((Some(start.until(cursor)), Some(Ok(pod)))),
        Err(error) => {
            *cursor = start;
            Ok((Some(cursor.skip()?), Some(Err(error))))
        }
    }
}

/// The answer: always allowed, with the patch if it does something, and with warnings for whoever made the request.
#[must_use]
pub fn respond(uid: &str, patch: &Patch, warnings: &[impl AsRef<str>]) -> Vec<u8> {
    let patch = if patch.is_empty() { None } else { Some(patch.as_json()) };
    let length = patch.map_or(0, <[u8]>::len).div_ceil(3) * 4;
    let warned: usize = warnings.iter().map(|warning| warning.as_ref().len() + 8).sum();
    let mut out = Vec::with_capacity(length + warned + uid.len() + 192);
    out.extend_from_slice(
        b"{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"response\":{\"uid\":",
    );
    push_string(&mut out, uid);
    out.extend_from_slice(b",\"allowed\":true");
    if let Some(patch) = patch {
        out.extend_from_slice(b",\"patchType\":\"JSONPatch\",\"patch\":\"");
        push_base64(&mut out, patch);
        out.push(b'"');
    }
    for (index, warning) in warnings.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b",\"warnings\":[".as_slice() } else { b"," });
        push_string(&mut out, warning.as_ref());
    }
    out.extend_from_slice(if warnings.is_empty() { b"}}" } else { b"]}}".as_slice() });
    out
}

/// Appends bytes in base64 (RFC 4648, section 4).
fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, b'=');
    let (groups, rest) = bytes.as_chunks::<3>();
    let (quads, _) = out.get_mut(start..).unwrap_or_default().as_chunks_mut::<4>();
    for (quad, [a, b, c]) in quads.iter_mut().zip(groups) {
        *quad = digits(*a, *b, *c);
    }
    // What is left over has two or three digits; the padding is there.
    let (last, length) = match *rest {
        [a] => (digits(a, 0, 0), 2),
        [a, b] => (digits(a, b, 0), 3),
        _ => return,
    };
    if let Some(quad) = quads.last_mut() {
        for (to, digit) in quad.iter_mut().zip(last).take(length) {
            *to = digit;
        }
    }
}

/// The four digits of three bytes.
fn digits(a: u8, b: u8, c: u8) -> [u8; 4] {
    let group = u32::from_be_bytes([0, a, b, c]) as usize;
    let ([first, second], [third, fourth]) = (PAIRS[group >> 12 & 0xFFF], PAIRS[group & 0xFFF]);
    [first, second, third, fourth]
}

/// The two digits of each number of twelve bits.
static PAIRS: [[u8; 2]; 4096] = {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut pairs = [[0; 2]; 4096];
    let mut number = 0;
    while number < pairs.len() {
        pairs[number] = [DIGITS[number >> 6], DIGITS[number & 63]];
        number += 1;
    }
    pairs
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_every_length() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foob", "Zm9vYg=="),
            (b"fooba", "Zm9vYmE="),
            (b"foobar", "Zm9vYmFy"),
            (b"\xff\xfe\xfd", "//79"),
        ] {
            let mut out = Vec::new();
            push_base64(&mut out, bytes);
            assert_eq!(out, text.as_bytes());
        }
    }

    #[test]
    fn a_review_without_a_request_is_refused() {
        for json in ["{}", r#"{"request":null}"#, r#"{"request":{"namespace":"x"}}"#] {
            assert!(Review::parse(json.as_bytes()).is_err(), "{json}");
        }
    }

    #[test]
    fn the_request_is_read() {
        let json = br#"{"request":{"uid":"u","kind":{"group":"","version":"v1","kind":"Pod"},"name":"","namespace":"shop",
            "operation":"CREATE","userInfo":{"username":"x"},"object":{"a":[1,{"b":"}"}]},"oldObject":null,"dryRun":true}}"#;
        let review = Review::parse(json).unwrap();
        assert_eq!((review.uid(), review.namespace(), review.name()), ("u", Some("shop"), None));
        assert_eq!((review.operation(), review.kind()), (Some("CREATE"), ("", "v1", "Pod")));
        assert!(review.is_dry_run());
        assert_eq!(review.object(), Some(&br#"{"a":[1,{"b":"}"}]}"#[..]));
    }

    #[test]
    fn an_object_that_is_no_pod_does_not_spoil_the_review() {
        let json = br#"{"request":{"object": {"spec":{"containers":7}} ,"uid":"u"}}"#;
        let review = Review::parse(json).unwrap();
        assert_eq!(review.uid(), "u");
        assert_eq!(review.object(), Some(&br#"{"spec":{"containers":7}}"#[..]));
        assert_eq!(review.pod().unwrap_err().offset(), json.iter().position(|byte| *byte == b'7').unwrap());
        assert!(Review::parse(br#"{"request":{"uid":"u"}}"#).unwrap().pod().unwrap().is_none());
    }

    #[test]
    fn answers_allow_and_warn() {
        let answer = respond("u", &Patch::default(), &["left \"web\" alone", "b"]);
        assert_eq!(
            String::from_utf8(answer).unwrap(),
            r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"u","allowed":true,"warnings":["left \"web\" alone","b"]}}"#
        );
    }
}
