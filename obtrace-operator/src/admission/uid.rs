//! The request's id from the beginning of a review.

/// The `request.uid` of a review of which only the beginning is there, or which breaks off or goes wrong later.
///
/// It is read where the API server writes it: as the first field of the request, after strings only. Anything else is `None`: an
/// answer for the wrong request would be worse than none.
pub(super) fn in_head(head: &[u8]) -> Option<&str> {
    let mut head = Head(head);
    head.token(b'{')?;
    loop {
        let key = head.string()?;
        head.token(b':')?;
        if key == b"request" {
            head.token(b'{')?;
            let key = head.string()?;
            head.token(b':')?;
            let uid = head.string().filter(|uid| key == b"uid" && !uid.is_empty())?;
            return std::str::from_utf8(uid).ok();
        }
        head.string()?;
        head.token(b',')?;
    }
}

/// What is left of the text.
struct Head<'a>(&'a [u8]);

impl<'a> Head<'a> {
    fn token(&mut self, token: u8) -> Option<()> {
        let (first, rest) = self.0.trim_ascii_start().split_first()?;
        self.0 = rest;
        (*first == token).then_some(())
    }

    /// A string without escapes and controls, as names and ids are.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.token(b'"')?;
        let end = self.0.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
        let (string, rest) = self.0.split_at(end);
        self.0 = rest;
        self.token(b'"')?;
        Some(string)
    }
}

#[cfg(test)]
mod tests {
    use super::in_head;

    #[test]
    fn the_id_is_found_in_what_the_api_server_writes() {
        let review =
            br#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"705ab4f5","kind":{"gr"#;
        assert_eq!(in_head(review), Some("705ab4f5"));
        assert_eq!(in_head(b" {\n \"request\" : { \"uid\" : \"a-1\" , garbage"), Some("a-1"));
    }

    #[test]
    fn no_other_id_is_taken_for_it() {
        for head in [
            "",
            "{",
            r#"{"request":{"uid":"705ab"#,
            r#"{"request":{"uid":"""#,
            r#"{"request":{"uid":"a\"b","#,
            r#"{"request":{"object":{"metadata":{"uid":"x"}}}}"#,
            r#"{"kind":{"request":{"uid":"x"}}}"#,
            r#"["request",{"uid":"x"}]"#,
            "{\"request\":{\"uid\":\"\u{1}\",",
        ] {
            assert_eq!(in_head(head.as_bytes()), None, "{head}");
        }
        assert_eq!(in_head(b"{\"request\":{\"uid\":\"\xff\","), None);
    }
}
