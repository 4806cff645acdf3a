//! What is set reaches the parsers.

use obtrace_agent::{config::Config, replay::Settings};

use crate::{
    Result,
    build::{ETHERNET, Script, Talk},
    replay_with,
};

/// Replays a conversation with what an environment sets.
fn replay(environment: &[(&str, &str)], script: &Script) -> Result {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let built = Config::load(None, environment, []).unwrap().build().unwrap();
    let settings =
        Settings::new().with_connections(&built.application.connections).with_traces(built.application.traces);
    replay_with(settings, ETHERNET, &Talk::new().open().script(script).close().frames)
}

#[test]
fn statements_on_unknown_protocols_are_told_only_if_asked_for() {
    let query = b"\x02\x90\x01\0SELECT a FROM t WHERE b = 'x'\0".to_vec();
    let answer = b"\x02\x91\x01\0\xff\xfe\x01x\0".to_vec();
    let script: Vec<_> = (0..4).flat_map(|_| [(true, query.clone()), (false, answer.clone())]).collect();
    assert_eq!(replay(&[], &script).lines(), Vec::<String>::new());
    assert_eq!(replay(&[("OBTRACE_TRACES_HEURISTIC_SQL", "false")], &script).lines(), Vec::<String>::new());
    for name in ["OBTRACE_TRACES_HEURISTIC_SQL", "OTEL_EBPF_HEURISTIC_SQL_DETECT"] {
        let told = replay(&[(name, "true")], &script);
        assert!(told.lines().len() >= 3, "{told:?}");
        for span in 0..told.spans.len() {
            assert_eq!(told.spans[span].protocol, "sql");
            assert_eq!(told.text(span, "db.system.name").as_deref(), Some("other_sql"));
            assert_eq!(told.text(span, "db.query.text").as_deref(), Some("SELECT a FROM t WHERE b = ?"));
        }
    }
}

#[test]
fn models_are_told_of_endpoints_that_are_named_and_contents_only_if_asked_for() {
    let body = |text: &str, start: &str| {
        let kind = "Content-Type: application/json";
        format!("{start}\r\nHost: models.internal\r\n{kind}\r\nContent-Length: {}\r\n\r\n{text}", text.len())
    };
    let asked = r#"{"model":"m","messages":[{"role":"user","content":"private"}]}"#;
    let answered = r#"{"model":"m-1","choices":[],"usage":{"prompt_tokens":9}}"#;
    let script = vec![
        (true, body(asked, "POST /v1/chat/completions HTTP/1.1").into_bytes()),
        (false, body(answered, "HTTP/1.1 200 OK").into_bytes()),
    ];
    let provider = |result: &Result| result.text(0, "gen_ai.provider.name");
    let messages = |result: &Result| result.text(0, "gen_ai.input.messages");
    let plain = replay(&[], &script);
    assert_ne!(provider(&plain).as_deref(), Some("acme"));
    let named = ("OBTRACE_TRACES_GEN_AI_ENDPOINTS", "models.internal=acme");
    let told = replay(&[named], &script);
    assert_eq!((provider(&told).as_deref(), messages(&told)), (Some("acme"), None));
    let told = replay(&[named, ("OBTRACE_TRACES_GEN_AI_CONTENT", "true")], &script);
    assert!(messages(&told).is_some_and(|text| text.contains("private")), "{told:?}");
}
