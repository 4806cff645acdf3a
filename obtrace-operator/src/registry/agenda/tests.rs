//! What is looked up when, played with a clock of its own.

use obtrace_detect::ImageConfig;

use super::*;

const HOUR: i64 = 3600;

fn agenda() -> Agenda {
    Agenda::new(Options::default(), All::new())
}

/// Each for a namespace of its own.
fn wants(images: &[&str]) -> Vec<Ask> {
    let all: Vec<_> = images.iter().map(|image| (*image, *image)).collect();
    wants_of(&all)
}

fn wants_of(images: &[(&str, &str)]) -> Vec<Ask> {
    let ask = |(image, namespace): &(&str, &str)| Ask {
        image: Arc::from(*image),
        namespace: Arc::from(*namespace),
        sources: BTreeSet::new(),
    };
    let mut all: Vec<_> = images.iter().map(ask).collect();
    all.sort_by(|one, other| one.image.cmp(&other.image));
    all
}

fn owners(all: &[Ask]) -> Owners {
    all.iter().map(|ask| (Arc::clone(&ask.image), Arc::clone(&ask.namespace))).collect()
}

fn found(digest: &str) -> Result<Found, Fault> {
    let config = ImageConfig::new().with_cmd(vec!["node".into(), "a.js".into()]);
    Ok(Found { digest: digest.to_owned(), config: Some(config) })
}

fn names(jobs: &[Job]) -> Vec<&str> {
    jobs.iter().map(|job| &*job.image).collect()
}

fn done(agenda: &mut Agenda, job: &Job, result: Result<Found, Fault>, now: Instant, time: i64) -> Outcome {
    agenda.done(job, result, &[(Arc::clone(&job.image), "shop".into())].into(), now, time)
}

#[test]
fn few_are_looked_up_at_once_and_fewer_of_one_registry() {
    let (mut agenda, now) = (agenda(), Instant::now());
    let all = wants(&["a.io/x:1", "a.io/x:2", "a.io/x:3", "b.io/x", "c.io/x", "d.io/x", "Not An Image"]);
    let jobs = agenda.due(&all, now, 0);
    assert_eq!(names(&jobs), ["a.io/x:1", "a.io/x:2", "b.io/x", "c.io/x"]);
    assert!(agenda.due(&all, now, 0).is_empty());
    assert_eq!(done(&mut agenda, &jobs[0], found("d"), now, 0), Outcome::Found);
    assert_eq!(names(&agenda.due(&all, now, 0)), ["a.io/x:3"]);
    assert!(agenda.take_changed(now) && !agenda.take_changed(now));
}

#[test]
fn a_tag_is_asked_for_again_and_a_digest_never() {
    let (mut agenda, now) = (agenda(), Instant::now());
    let pinned = format!("a.io/x@sha256:{}", "0".repeat(64));
    let all = wants(&["a.io/x:1", &pinned]);
    for job in agenda.due(&all, now, 0) {
        done(&mut agenda, &job, found("d"), now, 0);
    }
    assert!(agenda.due(&all, now, HOUR).is_empty());
    let jobs = agenda.due(&all, now, 7 * HOUR);
    assert_eq!((names(&jobs), jobs[0].previous.as_deref()), (vec!["a.io/x:1"], Some("d")));
    let same = Ok(Found { digest: "d".to_owned(), config: None });
    assert_eq!(done(&mut agenda, &jobs[0], same, now, 7 * HOUR), Outcome::Unchanged);
    assert!(agenda.due(&all, now, 8 * HOUR).is_empty());
}

#[test]
fn what_comes_to_nothing_is_left_alone_longer_each_time() {
    let (mut agenda, mut now) = (agenda(), Instant::now());
    let all = wants(&["a.io/x"]);
    for minutes in [1, 2, 4, 8, 16, 32, 60, 60] {
        let jobs = agenda.due(&all, now, 0);
        assert_eq!(done(&mut agenda, &jobs[0], Err(Fault::Absent), now, 0), Outcome::Failed("absent"));
        now += Duration::from_secs(minutes * 60) - Duration::from_secs(1);
        assert!(agenda.due(&all, now, 0).is_empty(), "{minutes}");
        now += Duration::from_secs(1);
    }
    assert_eq!(agenda.due(&all, now, 0).len(), 1);
}

#[test]
fn a_busy_registry_rests_as_long_as_it_says_and_others_do_not() {
    let (mut agenda, now) = (agenda(), Instant::now());
    let all = wants(&["a.io/x", "a.io/y", "b.io/x"]);
    let jobs = agenda.due(&all, now, 0);
    done(&mut agenda, &jobs[0], Err(Fault::Busy(429, Some(Duration::from_secs(90)))), now, 0);
    done(&mut agenda, &jobs[1], Err(Fault::Busy(429, Some(Duration::from_secs(90)))), now, 0);
    done(&mut agenda, &jobs[2], found("d"), now, 0);
    assert!(agenda.due(&all, now + Duration::from_secs(89), 0).is_empty());
    let jobs = agenda.due(&all, now + Duration::from_secs(90), 0);
    assert_eq!(names(&jobs), ["a.io/x", "a.io/y"]);
    let later = now + Duration::from_secs(90);
    done(&mut agenda, &jobs[0], Err(Fault::Busy(503, Some(Duration::from_secs(99_999)))), later, 0);
    done(&mut agenda, &jobs[1], found("e"), later, 0);
    let longest = later + PAUSE.1;
    assert!(agenda.due(&all, longest - Duration::from_secs(1), 0).is_empty());
    assert_eq!(names(&agenda.due(&all, longest, 0)), ["a.io/x"], "nobody is told to wait for ever");
}

#[test]
fn what_nobody_wants_makes_room_and_what_is_wanted_stays() {
    let (mut agenda, now) = (agenda(), Instant::now());
    let all = wants(&["a.io/x:1", "b.io/x:2", "c.io/x:3"]);
    let jobs = agenda.due(&all, now, 0);
    done(&mut agenda, &jobs[0], found("1"), now, 0);
    agenda.most_bytes = agenda.bytes * 5 / 2;
    let both = owners(&all);
    agenda.done(&jobs[1], found("2"), &both, now, 1);
    assert_eq!(agenda.done(&jobs[2], found("3"), &both, now, 2), Outcome::TooLarge);
    assert_eq!((agenda.known.len(), agenda.dropped), (2, 1));
    assert!(
        agenda.due(&all, now + Duration::from_secs(HOUR as u64), 0).is_empty(),
        "it is not asked for at once again"
    );
    let jobs = agenda.due(&all, now + agenda.options.refresh, 0);
    assert_eq!(names(&jobs), ["c.io/x:3"]);
    assert_eq!(done(&mut agenda, &jobs[0], found("3"), now, 3), Outcome::Found);
    assert_eq!(agenda.known.keys().collect::<Vec<_>>(), ["b.io/x:2", "c.io/x:3"], "the oldest is gone");
    let bytes: usize = agenda.known.iter().map(|(image, known)| kept::bytes_of(image, known)).sum();
    assert_eq!(bytes, agenda.bytes);
}

#[test]
fn namespaces_take_turns_and_none_takes_every_place() {
    let (mut agenda, now) = (agenda(), Instant::now());
    let many: Vec<_> = (0..1000).map(|number| format!("h{number}.io/x")).collect();
    let mut all: Vec<_> = many.iter().map(|image| (&**image, "many")).collect();
    assert_eq!(agenda.due(&wants_of(&all), now, 0).len(), MOST_OF_NAMESPACE);
    all.extend([("z.io/x", "few"), ("z.io/y", "few"), ("zz.io/x", "other")]);
    let all = wants_of(&all);
    let job = agenda.due(&all, now, 0).remove(0);
    assert_eq!(&*job.image, "z.io/x", "one place is left for it");
    done(&mut agenda, &job, Err(Fault::Absent), now, 0);
    let job = agenda.due(&all, now, 0).remove(0);
    assert_eq!(&*job.image, "zz.io/x", "the one of another namespace is next");
    done(&mut agenda, &job, Err(Fault::Absent), now, 0);
    let job = agenda.due(&all, now, 0).remove(0);
    assert_eq!(&*job.image, "z.io/y", "that of many has three places");
}

#[test]
fn a_namespace_whose_images_fill_what_is_kept_makes_room_for_those_of_others() {
    let (mut agenda, now) = (agenda(), Instant::now());
    let all = wants_of(&[("a.io/x", "many"), ("b.io/x", "many"), ("c.io/x", "many"), ("d.io/x", "few")]);
    let owners = owners(&all);
    for (at, digest) in ["1", "2", "3"].into_iter().enumerate() {
        let job = agenda.due(&all, now, 0).into_iter().find(|it| &*it.image != "d.io/x").unwrap();
        agenda.running.clear();
        agenda.done(&job, found(digest), &owners, now, i64::try_from(at).unwrap());
    }
    agenda.most_bytes = agenda.bytes / 3 - 1;
    let job = agenda.due(&all, now, 0).remove(0);
    assert_eq!(agenda.done(&job, found("4"), &owners, now, 9), Outcome::TooLarge);
    assert_eq!((agenda.known.len(), agenda.dropped), (3, 1), "nothing goes in vain");
    (agenda.most_bytes, agenda.dropped) = (agenda.bytes, 0);
    agenda.failed.clear();
    let job = agenda.due(&all, now, 0).remove(0);
    assert_eq!(agenda.done(&job, found("4"), &owners, now, 9), Outcome::Found);
    assert_eq!(agenda.known.keys().collect::<Vec<_>>(), ["b.io/x", "c.io/x", "d.io/x"], "the oldest is gone");
    assert!(agenda.due(&all, now, 0).is_empty(), "and does not come back at once");
    let bytes: usize = agenda.known.iter().map(|(image, known)| kept::bytes_of(image, known)).sum();
    assert_eq!((bytes, agenda.dropped), (agenda.bytes, 1));
}

#[test]
fn what_is_only_known_anew_is_written_now_and_then() {
    let (mut agenda, now) = (agenda(), Instant::now());
    let all = wants(&["a.io/x", "b.io/x"]);
    for job in agenda.due(&all, now, 0) {
        done(&mut agenda, &job, found("d"), now, 0);
    }
    assert!(agenda.take_changed(now));
    for job in agenda.due(&all, now, 7 * HOUR) {
        assert_eq!(done(&mut agenda, &job, found("d"), now, 7 * HOUR), Outcome::Unchanged);
    }
    assert!(!agenda.take_changed(now));
    let later = now + agenda.options.refresh / AGED;
    assert!(agenda.take_changed(later) && !agenda.take_changed(later));
}
