//! The frame of the agent's data path, one test for each thing it promises.
#![expect(clippy::unwrap_used, reason = "helper functions of tests may panic like the tests")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use obtrace_agent::pipeline::{
    Batch, BoxError, Failure, Graph, Input, Output, Pipeline, PooledBatch, Received, Settings, Source, StartError,
    Stuck, read_batches,
};

const SOON: Duration = Duration::from_secs(10);

/// What the nodes of a test did, in order.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<String>>>);

impl Diary {
    fn write(&self, entry: impl Into<String>) {
        self.0.lock().unwrap().push(entry.into());
    }

    fn read(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// An agent whose source runs until it is told to stop, and whose sink writes down that it flushed.
fn idle_agent(name: &'static str, diary: &Diary) -> impl FnOnce(&mut Graph) -> Result<(), BoxError> + 'static {
    let diary = diary.clone();
    move |graph| {
        diary.write(format!("{name} opens"));
        let wire = graph.wire::<u64>("values");
        let (output, input, stop) = (wire.output("source"), wire.input("sink", 4), graph.stop());
        let (begins, ends) = (diary.clone(), diary);
        graph.node("source", move || {
            begins.write(format!("{name} runs"));
            while !stop.wait(SOON) {}
            drop(output);
            Ok(())
        });
        graph.node("sink", move || {
            input.for_each(drop);
            ends.write(format!("{name} flushes"));
            Ok(())
        });
        Ok(())
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < SOON, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn agents_start_together_and_stop_in_order() {
    let diary = Diary::default();
    let running = Pipeline::new(Settings::new())
        .with_logs(idle_agent("logs", &diary))
        .with_network(idle_agent("network", &diary))
        .with_application(idle_agent("application", &diary))
        .start()
        .unwrap();
    until("all sources run", || diary.read().len() == 6);
    let so_far = diary.read();
    assert_eq!(so_far[..3], ["application opens", "network opens", "logs opens"], "all open before any runs");
    assert!(so_far[3..].iter().all(|entry| entry.ends_with("runs")));
    assert_eq!(running.handle().nodes().len(), 6);
    let stopped = running.stop().unwrap();
    assert_eq!(diary.read()[6..], ["application flushes", "network flushes", "logs flushes"]);
    assert_eq!((stopped.left, stopped.late.len()), (0, 0));
}

#[test]
fn each_agent_is_optional() {
    for chosen in 0..8_u8 {
        let diary = Diary::default();
        let mut pipeline = Pipeline::new(Settings::new());
        if chosen & 1 != 0 {
            pipeline = pipeline.with_application(idle_agent("application", &diary));
        }
        if chosen & 2 != 0 {
            pipeline = pipeline.with_network(idle_agent("network", &diary));
        }
        if chosen & 4 != 0 {
            pipeline = pipeline.with_logs(idle_agent("logs", &diary));
        }
        pipeline.start().unwrap().stop().unwrap();
        assert_eq!(
            diary.read().iter().filter(|entry| entry.ends_with("flushes")).count(),
            chosen.count_ones() as usize
        );
    }
}

#[test]
fn if_one_agent_cannot_start_none_runs() {
    struct Probe(Diary);
    impl Drop for Probe {
        fn drop(&mut self) {
            self.0.write("detached");
        }
    }
    let diary = Diary::default();
    let probe = Probe(diary.clone());
    let ran = Arc::new(AtomicBool::new(false));
    let runs = Arc::clone(&ran);
    let error = Pipeline::new(Settings::new())
        .with_application(move |graph| {
            graph.node("uses the probe", move || {
                runs.store(true, Ordering::SeqCst);
                drop(probe);
                Ok(())
            });
            Ok(())
        })
        .with_network(|_| Err("no BTF at /sys/kernel/btf/vmlinux".into()))
        .with_logs(idle_agent("logs", &diary))
        .start()
        .unwrap_err();
    assert!(matches!(error, StartError::Agent { agent: "network", .. }));
    assert_eq!(
        error.to_string(),
        "the network agent could not start, so none was started: no BTF at /sys/kernel/btf/vmlinux"
    );
    assert_eq!(diary.read(), ["detached"], "what was open is closed, the third was not even tried");
    assert!(!ran.load(Ordering::SeqCst));
}

#[test]
fn every_consumer_gets_every_value() {
    let (results, result) = mpsc::channel();
    let addresses = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&addresses);
    let running = Pipeline::new(Settings::new())
        .with_application(move |graph| {
            let wire = graph.wire::<String>("texts");
            for node in ["first", "second", "third"] {
                let (input, results, seen) = (wire.input(node, 2), results.clone(), Arc::clone(&seen));
                graph.node(node, move || {
                    let texts = input.map(|text| {
                        seen.lock().unwrap().push(text.as_ptr() as usize);
                        text.clone()
                    });
                    Ok(results.send((node, texts.collect::<Vec<_>>()))?)
                });
            }
            let output = wire.output("source");
            graph.node("source", move || {
                (0..100).try_for_each(|n| output.send(format!("value {n}"))).map_err(Into::into)
            });
            Ok(())
        })
        .start()
        .unwrap();
    running.wait();
    running.stop().unwrap();
    let mut all = result.iter().collect::<Vec<_>>();
    all.sort();
    let expected = (0..100).map(|n| format!("value {n}")).collect::<Vec<_>>();
    assert_eq!(all, ["first", "second", "third"].map(|node| (node, expected.clone())));
    assert_eq!(addresses.lock().unwrap().len(), 300);
}

#[test]
fn a_value_is_shared_only_where_there_are_several_consumers() {
    for consumers in 1..=3_usize {
        let (results, result) = mpsc::channel();
        let running = Pipeline::new(Settings::new())
            .with_application(move |graph| {
                let wire = graph.wire::<Vec<u8>>("bytes");
                for node in ["a", "b", "c"].into_iter().take(consumers) {
                    let (input, results) = (wire.input(node, 1), results.clone());
                    graph.node(node, move || {
                        let shared = |item| matches!(item, obtrace_agent::pipeline::Item::Shared(_));
                        input
                            .map(|item| (item.as_ptr() as usize, shared(item)))
                            .try_for_each(|seen| results.send(seen).map_err(Into::into))
                    });
                }
                let output = wire.output("source");
                graph.node("source", move || Ok(output.send(vec![1, 2, 3])?));
                Ok(())
            })
            .start()
            .unwrap();
        running.wait();
        running.stop().unwrap();
        let seen = result.iter().collect::<Vec<_>>();
        assert_eq!(seen.len(), consumers);
        assert!(seen.iter().all(|&(at, shared)| at == seen[0].0 && shared == (consumers > 1)), "one value, not copies");
    }
}

/// A stage that hands on what it gets.
fn pass_on(input: Input<Vec<u8>>, output: Output<Vec<u8>>) -> Result<(), BoxError> {
    input.map(|item| item.into_inner()).try_for_each(|bytes| output.send(bytes)).map_err(Into::into)
}

#[test]
fn a_stage_that_is_off_is_not_there() {
    type Stage = fn(Input<Vec<u8>>, Output<Vec<u8>>) -> Result<(), BoxError>;
    for enabled in [false, true] {
        let (sent, received) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(1)));
        let (put, got) = (Arc::clone(&sent), Arc::clone(&received));
        let running = Pipeline::new(Settings::new())
            .with_application(move |graph| {
                let wire = graph.wire::<Vec<u8>>("bytes");
                let output = wire.output("source");
                let after = graph.stage("enrich", wire.clone(), enabled.then_some(pass_on as Stage));
                assert_eq!(after.same(&wire), !enabled, "the very same queue is handed through");
                let input = after.input("sink", 1);
                graph.node("source", move || {
                    let bytes = vec![7; 1000];
                    put.store(bytes.as_ptr() as usize, Ordering::SeqCst);
                    Ok(output.send(bytes)?)
                });
                graph.node("sink", move || {
                    input.for_each(|bytes| got.store(bytes.as_ptr() as usize, Ordering::SeqCst));
                    Ok(())
                });
                Ok(())
            })
            .start()
            .unwrap();
        let queues = running.handle().queues();
        assert_eq!(queues.len(), if enabled { 2 } else { 1 });
        running.wait();
        running.stop().unwrap();
        assert_eq!(sent.load(Ordering::SeqCst), received.load(Ordering::SeqCst), "nothing was copied on the way");
    }
}

#[test]
fn a_wire_closes_once_all_its_producers_have() {
    let (go, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(Some(gate));
    let total = Arc::new(AtomicU64::new(0));
    let ended = Arc::new(AtomicBool::new(false));
    let (sum, done) = (Arc::clone(&total), Arc::clone(&ended));
    let running = Pipeline::new(Settings::new())
        .with_application(move |graph| {
            let wire = graph.wire::<u64>("numbers");
            let (quick, slow) = (wire.output("quick"), wire.output("slow"));
            graph.node("quick", move || Ok(quick.send(1)?));
            let gate = gate.lock().unwrap().take().unwrap();
            graph.node("slow", move || {
                gate.recv()?;
                // A clone is a producer, too.
                let last = slow.clone();
                drop(slow);
                Ok(last.send(10)?)
            });
            let input = wire.input("sum", 1);
            graph.node("sum", move || {
                input.for_each(|n| {
                    sum.fetch_add(*n, Ordering::SeqCst);
                });
                done.store(true, Ordering::SeqCst);
                Ok(())
            });
            Ok(())
        })
        .start()
        .unwrap();
    until("the quick one has ended", || {
        running.handle().nodes() == ["application/sum", "application/slow"]
            || running.handle().nodes() == ["application/slow", "application/sum"]
    });
    assert!(!ended.load(Ordering::SeqCst), "one producer is left");
    go.send(()).unwrap();
    running.wait();
    running.stop().unwrap();
    assert_eq!((total.load(Ordering::SeqCst), ended.load(Ordering::SeqCst)), (11, true));
}

#[test]
fn queues_are_bounded_and_tell_how_full_they_are() {
    let (go, gate) = mpsc::channel::<()>();
    let running = Pipeline::new(Settings::new())
        .with_application(move |graph| {
            let wire = graph.wire::<u64>("numbers");
            let output = wire.output("source");
            graph.node("source", move || (0..10).try_for_each(|n| output.send(n)).map_err(Into::into));
            let input = wire.input("sink", 3);
            graph.node("sink", move || {
                gate.recv()?;
                input.for_each(drop);
                Ok(())
            });
            Ok(())
        })
        .start()
        .unwrap();
    let handle = running.handle();
    until("the queue is full", || handle.queues()[0].depth == 3);
    std::thread::sleep(Duration::from_millis(20));
    let queue = handle.queues()[0];
    assert_eq!((queue.sent, queue.received, queue.depth, queue.capacity), (3, 0, 3, 3));
    assert_eq!((queue.agent, queue.wire, queue.consumer), ("application", "numbers", "sink"));
    go.send(()).unwrap();
    running.wait();
    let queue = handle.queues()[0];
    assert_eq!((queue.sent, queue.received, queue.depth, queue.dropped), (10, 10, 0, 0));
    running.stop().unwrap();
}

#[test]
fn a_stuck_node_is_reported_with_both_names_and_nothing_is_lost() {
    let (go, gate) = mpsc::channel::<()>();
    let reports = Arc::new(Mutex::new(Vec::<Stuck>::new()));
    let reported = Arc::clone(&reports);
    let total = Arc::new(AtomicU64::new(0));
    let sum = Arc::clone(&total);
    let running = Pipeline::new(Settings::new().with_send_timeout(Duration::from_millis(10)))
        .with_report(move |stuck| reported.lock().unwrap().push(*stuck))
        .with_application(move |graph| {
            let wire = graph.wire::<u64>("spans");
            let output = wire.output("traces");
            graph.node("traces", move || (1..=4).try_for_each(|n| output.send(n)).map_err(Into::into));
            let input = wire.input("export", 1);
            graph.node("export", move || {
                gate.recv()?;
                input.for_each(|n| {
                    sum.fetch_add(*n, Ordering::SeqCst);
                });
                Ok(())
            });
            Ok(())
        })
        .start()
        .unwrap();
    until("it was reported again", || reports.lock().unwrap().len() >= 2);
    let second = reports.lock().unwrap()[1];
    assert_eq!((second.producer, second.consumer), ("traces", "export"));
    assert_eq!(
        second.to_string(),
        "pipeline stuck: node \"traces\" of agent \"application\" has waited 20ms to send on \"spans\" because node \
         \"export\" does not take what is there"
    );
    assert!(running.handle().queues()[0].stuck >= 2, "and it is counted");
    go.send(()).unwrap();
    running.wait();
    running.stop().unwrap();
    assert_eq!(total.load(Ordering::SeqCst), 10);
}

#[test]
fn by_default_a_stuck_node_is_an_error_in_the_log() {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl std::io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).try_init().unwrap();
    let running = Pipeline::new(Settings::new().with_send_timeout(Duration::from_millis(5)))
        .with_application(|graph| {
            let wire = graph.wire::<u64>("wire of the log test");
            let (output, input, stop) = (wire.output("p"), wire.input("c", 1), graph.stop());
            graph.node("p", move || (1..=2).try_for_each(|n| output.send(n)).map_err(Into::into));
            graph.node("c", move || {
                let _input = input;
                while !stop.wait(SOON) {}
                Ok(())
            });
            Ok(())
        })
        .start()
        .unwrap();
    let text = || String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    until("the log has it", || text().contains("wire of the log test"));
    let text = text();
    let line = text.lines().find(|line| line.contains("wire of the log test")).unwrap();
    assert!(line.contains("ERROR") && line.contains("node \"p\"") && line.contains("node \"c\""), "{line}");
    // The source's send is refused once the consumer is gone; it says so.
    assert!(matches!(running.stop(), Err(Failure::Failed { node: "p", .. })));
}

#[test]
fn stopping_works_off_what_is_on_its_way() {
    let flushed = Arc::new(Mutex::new(Vec::new()));
    let (into, sent) = (Arc::clone(&flushed), Arc::new(AtomicU64::new(0)));
    let count = Arc::clone(&sent);
    let running = Pipeline::new(Settings::new())
        .with_application(move |graph| {
            let raw = graph.wire::<u64>("raw");
            let (output, stop) = (raw.output("source"), graph.stop());
            graph.node("source", move || {
                while !stop.is_set() {
                    output.send(count.fetch_add(1, Ordering::SeqCst))?;
                }
                Ok(())
            });
            let after = graph.stage(
                "slow",
                raw,
                Some(|input: Input<u64>, output: Output<u64>| {
                    for n in input {
                        std::thread::sleep(Duration::from_micros(200));
                        output.send(*n)?;
                    }
                    Ok(())
                }),
            );
            let input = after.input("sink", 4);
            graph.node("sink", move || {
                let mut batch = Vec::new();
                loop {
                    match input.receive_within(SOON) {
                        Received::Item(n) => batch.push(*n),
                        Received::Nothing => {}
                        _ => break,
                    }
                }
                into.lock().unwrap().extend(batch); // the final flush
                Ok(())
            });
            Ok(())
        })
        .start()
        .unwrap();
    until("it flows", || sent.load(Ordering::SeqCst) > 30);
    let stopped = running.stop().unwrap();
    assert_eq!((stopped.left, stopped.late.len()), (0, 0));
    let expected = (0..sent.load(Ordering::SeqCst)).collect::<Vec<_>>();
    assert_eq!(*flushed.lock().unwrap(), expected, "every value that was sent came out");
}

#[test]
fn what_the_deadline_cuts_off_is_counted_and_the_late_node_named() {
    let (go, gate) = mpsc::channel::<()>();
    let running = Pipeline::new(Settings::new().with_shutdown_timeout(Duration::from_millis(50)))
        .with_application(move |graph| {
            let wire = graph.wire::<u64>("numbers");
            let output = wire.output("source");
            graph.node("source", move || (0..3).try_for_each(|n| output.send(n)).map_err(Into::into));
            let input = wire.input("hangs", 8);
            graph.node("hangs", move || {
                let _input = input;
                gate.recv()?;
                Ok(())
            });
            Ok(())
        })
        .start()
        .unwrap();
    let handle = running.handle();
    until("all were sent", || handle.queues()[0].depth == 3);
    let start = Instant::now();
    let stopped = running.stop().unwrap();
    assert!(start.elapsed() < Duration::from_secs(2), "the deadline is kept");
    assert_eq!(stopped.left, 3);
    assert_eq!(stopped.late, ["application/hangs"]);
    assert_eq!(handle.queues()[0].dropped, 3);
    go.send(()).unwrap();
}

#[test]
fn a_panic_ends_the_pipeline_and_says_where() {
    let diary = Diary::default();
    let running = Pipeline::new(Settings::new())
        .with_application(|graph| {
            graph.node("parse", || panic!("index {} is out of range", 7));
            Ok(())
        })
        .with_logs(idle_agent("logs", &diary))
        .start()
        .unwrap();
    running.wait();
    let failure = running.stop().unwrap_err();
    assert_eq!(
        failure.to_string(),
        "node application/parse panicked: index 7 is out of range; this is a bug, please report it"
    );
    assert!(diary.read().contains(&"logs flushes".to_owned()), "the others end in order all the same");
}

#[test]
fn an_error_ends_the_pipeline_and_says_where() {
    let running = Pipeline::new(Settings::new())
        .with_network(|graph| {
            let reads = || std::fs::read("/nonexistent/ring").map(drop).map_err(Into::into);
            graph.node("ring", reads);
            Ok(())
        })
        .start()
        .unwrap();
    running.wait();
    let failure = running.stop().unwrap_err().to_string();
    assert!(failure.starts_with("node network/ring failed: No such file or directory"), "{failure}");
}

#[test]
fn anybody_with_a_handle_can_ask_it_to_stop() {
    let diary = Diary::default();
    let running = Pipeline::new(Settings::new()).with_application(idle_agent("application", &diary)).start().unwrap();
    assert!(!running.wait_within(Duration::from_millis(5)), "it goes on by itself");
    let handle = running.handle();
    let asks = std::thread::spawn(move || handle.request_stop());
    running.wait();
    asks.join().unwrap();
    running.stop().unwrap();
}

#[test]
fn dropping_a_running_pipeline_stops_it() {
    let diary = Diary::default();
    drop(Pipeline::new(Settings::new()).with_application(idle_agent("application", &diary)).start().unwrap());
    until("it has flushed", || diary.read().contains(&"application flushes".to_owned()));
}

/// Gives out numbered records as fast as the test allows.
struct Numbers {
    next: u64,
    allowed: Arc<AtomicU64>,
}

impl Source for Numbers {
    fn read(&mut self, batch: &mut Batch, at_most: Duration) -> Result<(), BoxError> {
        if self.next >= self.allowed.load(Ordering::SeqCst) {
            std::thread::sleep(at_most.min(Duration::from_millis(1)));
        }
        while self.next < self.allowed.load(Ordering::SeqCst) && !batch.is_full() {
            batch.push(&self.next.to_le_bytes());
            self.next += 1;
        }
        Ok(())
    }
}

type Parse = Box<dyn FnMut(&PooledBatch) + Send>;

fn reader(settings: Settings, allowed: &Arc<AtomicU64>, mut parse: Parse) -> obtrace_agent::pipeline::Running {
    let mut source = Numbers { next: 0, allowed: Arc::clone(allowed) };
    Pipeline::new(settings)
        .with_application(move |graph| {
            let wire = graph.wire::<PooledBatch>("records");
            let (output, stop, settings) = (wire.output("read"), graph.stop(), *graph.settings());
            graph.node("read", move || read_batches(&mut source, &output, &settings, &stop));
            let input = wire.input("parse", 2);
            graph.node("parse", move || {
                input.for_each(|batch| parse(&batch));
                Ok(())
            });
            Ok(())
        })
        .start()
        .unwrap()
}

#[test]
fn records_come_through_in_order_whatever_the_batches() {
    let allowed = Arc::new(AtomicU64::new(10_000));
    let seen = Arc::new(Mutex::new((Vec::new(), 0)));
    let into = Arc::clone(&seen);
    let parse = move |batch: &PooledBatch| {
        let mut into = into.lock().unwrap();
        into.1 = into.1.max(batch.len());
        into.0.extend(batch.iter().map(|record| u64::from_le_bytes(record.try_into().unwrap())));
    };
    let running = reader(Settings::new().with_batch_length(64), &allowed, Box::new(parse));
    until("all were parsed", || seen.lock().unwrap().0.len() == 10_000);
    allowed.store(10_100, Ordering::SeqCst);
    running.stop().unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.0, (0..10_100).collect::<Vec<_>>(), "what the source still had at the stop was read, too");
    assert!(seen.1 <= 64, "batches end by size");
}

#[test]
fn a_record_waits_milliseconds_when_the_parser_is_idle() {
    let allowed = Arc::new(AtomicU64::new(0));
    let (parsed, record) = mpsc::channel();
    let running = reader(Settings::new(), &allowed, Box::new(move |batch| parsed.send(batch.len()).unwrap()));
    let mut waits = (1..=20)
        .map(|n| {
            let start = Instant::now();
            allowed.store(n, Ordering::SeqCst);
            assert_eq!(record.recv_timeout(SOON), Ok(1));
            start.elapsed()
        })
        .collect::<Vec<_>>();
    waits.sort();
    assert!(waits[10] < Duration::from_millis(100), "far less than the second a batch may wait: {waits:?}");
    running.stop().unwrap();
}

#[test]
fn a_batch_ends_after_its_time_while_the_parser_is_busy() {
    let allowed = Arc::new(AtomicU64::new(1));
    let (go, gate) = mpsc::channel::<()>();
    let (parsed, batches) = mpsc::channel();
    let parse = move |batch: &PooledBatch| {
        parsed.send((batch.len(), Instant::now())).unwrap();
        gate.recv().unwrap();
    };
    let settings = Settings::new().with_batch_timeout(Duration::from_millis(80));
    let running = reader(settings, &allowed, Box::new(parse));
    assert_eq!(batches.recv().unwrap().0, 1);
    // The parser is busy now: what comes is collected into one batch until its time is over.
    let start = Instant::now();
    for n in 2..=5 {
        allowed.store(n, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(2));
    }
    until("the second batch waits in the queue", || running.handle().queues()[0].depth == 1);
    assert!(start.elapsed() >= Duration::from_millis(80), "not before its time");
    go.send(()).unwrap();
    assert_eq!(batches.recv().unwrap().0, 4, "it holds what came meanwhile");
    go.send(()).unwrap();
    allowed.store(6, Ordering::SeqCst);
    assert_eq!(batches.recv().unwrap().0, 1);
    go.send(()).unwrap();
    running.stop().unwrap();
}

#[test]
fn reading_goes_on_while_parsing_and_buffers_are_used_again() {
    let allowed = Arc::new(AtomicU64::new(0));
    let places = Arc::new(Mutex::new(std::collections::BTreeSet::new()));
    let (into, busy) = (Arc::clone(&places), Arc::new(AtomicU64::new(0)));
    let counted = Arc::clone(&busy);
    let parse = move |batch: &PooledBatch| {
        std::thread::sleep(Duration::from_millis(1));
        counted.fetch_add(batch.len() as u64, Ordering::SeqCst);
        if counted.load(Ordering::SeqCst) > 1_000 {
            into.lock().unwrap().insert(batch.iter().next().unwrap().as_ptr() as usize);
        }
    };
    allowed.store(8_000, Ordering::SeqCst);
    let running = reader(Settings::new().with_batch_length(100), &allowed, Box::new(parse));
    until("all were parsed", || busy.load(Ordering::SeqCst) == 8_000);
    running.stop().unwrap();
    assert_eq!(places.lock().unwrap().len(), 2, "two buffers, no more, however many batches");
}
