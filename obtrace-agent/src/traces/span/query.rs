//! URL queries without their secrets.

/// What stands for a value that is not told.
const REDACTED: &str = "REDACTED";

/// Parameters whose values are signatures or credentials: the list of the semantic conventions for `url.query`, then
/// the names that credentials mostly have. In lower case.
const SENSITIVE: [&str; 27] = [
    "awsaccesskeyid",
    "signature",
    "sig",
    "x-goog-signature",
    "x-goog-credential",
    "x-amz-signature",
    "x-amz-credential",
    "x-amz-security-token",
    "access_token",
    "refresh_token",
    "id_token",
    "token",
    "auth",
    "authorization",
    "api_key",
    "api-key",
    "apikey",
    "key",
    "client_secret",
    "secret",
    "password",
    "passwd",
    "pwd",
    "code",
    "session",
    "sessionid",
    "jwt",
];

/// The query with the values of sensitive parameters replaced. `more` are names in lower case.
pub(super) fn scrub(query: &str, more: &[String]) -> String {
    let mut out = String::with_capacity(query.len());
    for (index, pair) in query.split('&').enumerate() {
        if index > 0 {
            out.push('&');
        }
        match pair.split_once('=') {
            Some((name, _)) if is_sensitive(name, more) => {
                out.push_str(name);
                out.push('=');
                out.push_str(REDACTED);
            }
            _ => out.push_str(pair),
        }
    }
    out
}

fn is_sensitive(name: &str, more: &[String]) -> bool {
    let name = name.to_ascii_lowercase();
    // A name can be escaped to look like another.
    name.contains('%') || SENSITIVE.contains(&&*name) || more.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_credentials_are_replaced() {
        let more = ["pin".to_owned()];
        for (query, expected) in [
            ("a=1&b=2", "a=1&b=2"),
            ("sig=abc&x=1", "sig=REDACTED&x=1"),
            (
                "AWSAccessKeyId=k&Signature=s&X-Goog-Signature=g",
                "AWSAccessKeyId=REDACTED&Signature=REDACTED&X-Goog-Signature=REDACTED",
            ),
            ("Access_Token=t=u&&flag", "Access_Token=REDACTED&&flag"),
            ("PIN=1234", "PIN=REDACTED"),
            ("%70assword=x", "%70assword=REDACTED"),
            ("", ""),
        ] {
            assert_eq!(scrub(query, &more), expected);
        }
    }
}
