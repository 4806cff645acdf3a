use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use obtrace_detect::Language;

use super::*;

fn verdict(outcome: Outcome) -> Verdict {
    let mut verdict = Verdict::new(outcome);
    verdict.namespace = "shop".to_owned();
    verdict.resource = Some("obtrace-system/default".to_owned());
    verdict.owner = Some(owner("web"));
    verdict
}

fn owner(name: &str) -> Owner {
    Owner::new("apps/v1", "ReplicaSet", name, "1")
}

#[test]
fn what_was_done_and_what_was_not_is_said() {
    let mut injected = verdict(Outcome::Injected);
    injected.languages = vec![("web".to_owned(), Language::Python)];
    injected.skipped = vec![("proxy".to_owned(), "infrastructure, never instrumented".to_owned())];
    assert_eq!(Said::of(&injected), Some(Said::Injected));
    assert_eq!(
        Said::Injected.note(&injected),
        "Instrumented by obtrace-system/default: web (python); left alone: proxy: infrastructure, never instrumented"
    );
    let mut skipped = verdict(Outcome::NothingToDo);
    assert_eq!(Said::of(&skipped), None);
    skipped.skipped = vec![("db".to_owned(), "é".repeat(2000))];
    assert_eq!(Said::of(&skipped), Some(Said::Skipped));
    let note = Said::Skipped.note(&skipped);
    assert!(note.starts_with("Not instrumented: db: é") && note.len() <= LONGEST_NOTE);
}

#[test]
fn nothing_is_said_of_a_dry_run_or_of_what_is_none_of_ours() {
    let mut dry = verdict(Outcome::Injected);
    dry.dry_run = true;
    assert_eq!(Said::of(&dry), None);
    for outcome in [Outcome::NoResource, Outcome::Excluded, Outcome::AlreadyInjected, Outcome::Unreadable] {
        assert_eq!(Said::of(&verdict(outcome)), None, "{outcome:?}");
    }
}

#[test]
fn the_same_is_said_once_in_a_while() {
    let mut memory = Memory { said: HashMap::new(), most: 2 };
    let now = Instant::now();
    assert!(!memory.knows(&owner("a"), "shop", Said::Injected, now));
    memory.note(&owner("a"), "shop", Said::Injected, now);
    assert!(memory.knows(&owner("a"), "shop", Said::Injected, now + QUIET / 2));
    assert!(!memory.knows(&owner("a"), "other", Said::Injected, now));
    assert!(!memory.knows(&owner("a"), "shop", Said::Injected, now + QUIET));
    for name in ["b", "c", "d", "e"] {
        memory.note(&owner(name), "shop", Said::Skipped, now);
        assert!(memory.knows(&owner(name), "shop", Said::Skipped, now) && memory.said.len() <= 2);
    }
}

/// A client of an API server that knows no owner, and takes Events or, the first time, not; how many came. A namespace is terminating.
fn client() -> (Client, Arc<AtomicUsize>) {
    let came = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&came);
    let answer = move |request: http::Request<kube::client::Body>| {
        let number = if request.method() == http::Method::POST { count.fetch_add(1, Relaxed) } else { 0 };
        let is_ending = request.uri().path().contains("/namespaces/ending/");
        async move {
            let (status, body) = match (request.method().as_str(), number) {
                _ if is_ending => (403, Default::default()),
                ("POST", 1..) => (201, request.into_body().collect_bytes().await?),
                _ => (500, Default::default()),
            };
            let response = http::Response::builder().status(status).body(kube::client::Body::from(body));
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(response?)
        }
    };
    (Client::new(tower::service_fn(answer), "default"), came)
}

#[tokio::test]
async fn what_was_refused_is_said_later() {
    let (client, came) = client();
    let (mut sender, now) = (Sender::new(client, Arc::default()), Instant::now());
    let of = |name: &str| Verdict {
        owner: Some(Owner::new("apps/v1", "DaemonSet", name, "1")),
        ..verdict(Outcome::Injected)
    };
    // The API server refuses the first, and takes it when it comes again.
    for _ in 0..3 {
        sender.send(&of("a"), now).await;
    }
    assert_eq!(came.load(Relaxed), 2);
    for other in 0..BURST {
        sender.send(&of(&format!("b{other}")), now).await;
    }
    let burst = came.load(Relaxed);
    assert_eq!(burst, BURST as usize);
    sender.send(&of("late"), now).await;
    assert_eq!(came.load(Relaxed), burst);
    sender.send(&of("late"), now + EVERY).await;
    sender.send(&of("late"), now + EVERY * 2).await;
    assert_eq!(came.load(Relaxed), burst + 1);
}

#[tokio::test]
async fn who_is_refused_takes_no_time_from_others() {
    let (client, came) = client();
    let metrics = Arc::new(Metrics::new());
    let (mut sender, now) = (Sender::new(client, Arc::clone(&metrics)), Instant::now());
    let of = |namespace: &str, name: &str| Verdict {
        owner: Some(Owner::new("apps/v1", "DaemonSet", name, "1")),
        namespace: namespace.to_owned(),
        ..verdict(Outcome::Injected)
    };
    // Were each tried, nothing would be left of the burst, and one be sent of those that follow.
    for number in 0..BURST * 2 {
        sender.send(&of("ending", &number.to_string()), now).await;
    }
    let tried = came.load(Relaxed);
    assert!(tried < BURST as usize / 2, "{tried}");
    for name in ["a", "b", "c"] {
        sender.send(&of("shop", name), now).await;
    }
    assert_eq!(came.load(Relaxed), tried + 3);
    let text = metrics.encode().unwrap();
    for (reason, count) in [("refused", tried), ("paused", BURST as usize * 2 - tried)] {
        let line = format!("obtrace_zero_events_unsent_total{{reason=\"{reason}\"}} {count}");
        assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
    }
    // When it takes them again, it is heard of again.
    sender.send(&of("ending", "0"), now + Duration::from_secs(3600)).await;
    assert_eq!(came.load(Relaxed), tried + 4);
}

#[test]
fn an_event_has_what_the_api_server_demands() {
    let about = Owner::new("apps/v1", "Deployment", "w".repeat(253), "2");
    let made = event(&verdict(Outcome::Injected), &about, Said::Injected, "me", Timestamp::now());
    let name = made.metadata.name.unwrap();
    assert!(name.len() <= 253, "{}", name.len());
    assert!(made.event_time.is_some() && made.action.is_some() && made.reporting_instance.is_some());
    assert_eq!(made.regarding.unwrap().uid.as_deref(), Some("2"));
}
