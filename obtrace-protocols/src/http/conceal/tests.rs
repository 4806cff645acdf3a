use alloc::{format, string::ToString};

use super::*;

fn concealed(text: &str) -> String {
    let mut out = format!("before ?token=x{text}");
    target(&mut out, "before ?token=x".len(), false);
    out.strip_prefix("before ?token=x").unwrap().to_string()
}

#[test]
fn credentials_in_targets() {
    for (given, kept) in [
        ("/p?alt=sse&key=abc&x=1", "/p?alt=sse&key=***&x=1"),
        ("/p?key=", "/p?key="),
        ("/p?key=s\u{e9}cret&x=1", "/p?key=*******&x=1"),
        ("/p?monkey=abc&max_tokens=5&keys=a&q=a", "/p?monkey=abc&max_tokens=5&keys=a&q=a"),
        ("/p?code=482913&x=1", "/p?code=******&x=1"),
        ("/p?subscription-key=abc&AccountKey=d&sort_key=e", "/p?subscription-key=***&AccountKey=*&sort_key=e"),
        ("/key=abc", "/key=abc"),
        ("/p?a=1;token=abc;b=2", "/p?a=1;token=***;b=2"),
        ("/p?X-Amz-Signature=abc&csrf_Token=d=e", "/p?X-Amz-Signature=***&csrf_Token=***"),
        ("/p?code=ab&user[password]=c&user%5Bpassword%5D=d", "/p?code=**&user[password]=*&user%5Bpassword%5D=*"),
        ("/p?%74oken=abc&%2574oken=def&%41=b", "/p?%74oken=***&%2574oken=***&%41=b"),
        ("/p?next=https://h/?token=abc&x=1", "/p?next=https://h/?token=***&x=1"),
        ("/p?next=https%3A%2F%2Fh%2F%3Ftoken%3Dabc", "/p?next=https%3A%2F%2Fh%2F%3Ftoken%3D***"),
        ("/p?next=%252Fx%253Fa%253D1%2526sig%253Dabc&x=1", "/p?next=%252Fx%253Fa%253D1%2526sig%253D***&x=1"),
        ("/p?token", "/p?token"),
        ("/p?%=a&%4=b&=c&%3", "/p?%=*&%4=*&=c&%3"),
        ("http://bob:abc@h/p@q?sig=d", "http://*******@h/p@q?sig=*"),
        ("http://b@c@h?a", "http://***@h?a"),
        ("http://h/p?a=b@c", "http://h/p?a=b@c"),
        ("bob:abc@h:443", "*******@h:443"),
        ("h:443", "h:443"),
        ("*", "*"),
        ("", ""),
    ] {
        assert_eq!(concealed(given), kept, "{given}");
    }
}

#[test]
fn long_ones_too() {
    for length in 0..100 {
        let kept = concealed(&format!("/p?key={}&x=1", "\u{20ac}".repeat(length)));
        assert_eq!(kept, format!("/p?key={}&x=1", "*".repeat(3 * length)));
    }
    let name = format!("/p?{}token=abc", "x".repeat(200));
    assert_eq!(concealed(&name), name.replace("abc", "***"));
}

#[test]
fn authorities_that_are_cut() {
    let mut out = "bot http://bob:ab".to_string();
    field(&mut out, 0, true);
    assert_eq!(out, "bot http://******");
    for (given, kept) in [
        ("/p?u=http://bob:ab", "/p?u=http://******"),
        ("http://bob:ab", "http://******"),
        ("bob", "***"),
        ("http://b@h/p", "http://*@h/p"),
        ("/p", "/p"),
    ] {
        let mut out = given.to_string();
        target(&mut out, 0, true);
        assert_eq!(out, kept);
    }
}

#[test]
fn authorities() {
    assert_eq!([&b"h:1"[..], b"a:b@h", b"a@b@h", b""].map(authority), [&b"h:1"[..], b"h", b"h", b""]);
}

#[test]
fn credentials_in_paths_and_urls_inside() {
    for (given, kept) in [
        ("/a;jsessionid=abc/b;v=1?x=1", "/a;jsessionid=***/b;v=1?x=1"),
        ("/a;b=c;PHPSESSID=abc", "/a;b=c;PHPSESSID=***"),
        ("/a#access_token=abc&x=1", "/a#access_token=***&x=1"),
        ("/a.jsp%3Bjsessionid=abc", "/a.jsp%3Bjsessionid=***"),
        ("/a%3bjsessionid%3Dabc/b?x=1", "/a%3bjsessionid%3D***/b?x=1"),
        ("/a%253Bx%253Db%253Btoken%253Dabc", "/a%253Bx%253Db%253Btoken%253D***"),
        ("/u/https%3A%2F%2Fh%2Fx.png%3Fa%3Db%26sig%3Dabc/c", "/u/https%3A%2F%2Fh%2Fx.png%3Fa%3Db%26sig%3D*****"),
        ("/u/h%252Fx%253Fsig%253Dabc?a=b", "/u/h%252Fx%253Fsig%253D***?a=b"),
        ("/u/x%23access_token=abc&b=c", "/u/x%23access_token=***&b=c"),
        ("/u;a=b/x%3Fsig%3Dab/c", "/u;a=b/x%3Fsig%3D****"),
        ("/token%3Dabc%2Fd", "/token%3Dabc%2Fd"),
        ("http://h/x%3Ftoken=abc", "http://h/x%3Ftoken=***"),
        ("/proxy/https://bob:abc@h/p", "/proxy/https://*******@h/p"),
        ("/p?url=https://bob:abc@h/p@q&x=a@b", "/p?url=https://*******@h/p@q&x=a@b"),
        ("/p?url=https%3A%2F%2Fbob%3Aabc%40h%2Fp%40q", "/p?url=https%3A%2F%2F*********%40h%2Fp%40q"),
        ("/p?url=a%253A%252F%252Fbob%2540h", "/p?url=a%253A%252F%252F***%2540h"),
        ("/p?a=://b://c@d", "/p?a=://b://*@d"),
        ("/a@b;c=d/e%20f", "/a@b;c=d/e%20f"),
        ("/p?client_assertion=abc&sid=d&db_pwd=e&cookie=f", "/p?client_assertion=***&sid=*&db_pwd=*&cookie=*"),
    ] {
        assert_eq!(concealed(given), kept, "{given}");
    }
}

#[test]
fn credentials_in_fields() {
    for (given, kept) in [
        ("curl/8.5", "curl/8.5"),
        (
            "Mozilla/5.0 (X11; rv:7; a=b) like Gecko; +http://bot.example/x",
            "Mozilla/5.0 (X11; rv:7; a=b) like Gecko; +http://bot.example/x",
        ),
        ("app/1 (token=abc; x=y)", "app/1 (token=***; x=y)"),
        ("app/1 api-key: abc, b", "app/1 api-key: ***, b"),
        ("app/1 {\"password\":\"abc\"}", "app/1 {\"password\":\"***\"}"),
        ("app Bearer abc.def x", "app Bearer ******* x"),
        ("BASIC abc", "BASIC ***"),
        ("a (Token \"abc\")", "a (Token \"***\")"),
        ("bot +https://bob:abc@h/p", "bot +https://*******@h/p"),
        ("http://h/?key=abc&b=c", "http://h/?key=***&b=c"),
        ("a/1 Authorization: Bearer abc", "a/1 Authorization: **********"),
        ("app (password = hunter2)", "app (password = *******)"),
        ("app (password\t=\thunter2\tx)", "app (password\t=\t*******\tx)"),
        ("app {'password':'hunter2'}", "app {'password':'*******'}"),
        ("app {\\\"password\\\":\\\"hunter2\\\"}", "app {\\\"password\\\":\\\"********\"}"),
        ("app {\"password\" : \"a\\\"b, c\", \"d\":1}", "app {\"password\" : \"*******\", \"d\":1}"),
        ("app password=\"\", a=b", "app password=\"\", a=b"),
        ("app password=\"abc d", "app password=\"*****"),
        ("app :password => abc, b", "app :password => ***, b"),
        ("app user['password']=abc b", "app user['password']=*** b"),
        ("my password x: abc", "my password x: abc"),
        ("a/1 Cookie: abc def; x", "a/1 Cookie: *******; x"),
        ("token", "token"),
        ("bearer", "bearer"),
        ("", ""),
    ] {
        let mut out = alloc::format!("before {given}");
        field(&mut out, "before ".len(), false);
        assert_eq!(out, alloc::format!("before {kept}"));
    }
}

#[test]
fn lists_of_addresses() {
    for list in ["203.0.113.7", "203.0.113.7, 10.0.0.1:80", "2001:db8::1,[::1],[::1]:80", "unknown"] {
        assert!(forms::is_addresses(list.as_bytes()), "{list}");
    }
    for list in ["", "a", "203.0.113.7, abc", "203.0.113", "[abc]", "1.2.3.4,"] {
        assert!(!forms::is_addresses(list.as_bytes()), "{list}");
    }
}
