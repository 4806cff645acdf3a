//! HTTP/2's header blocks beside loona-hpack and Go's golang.org/x/net.

use std::{
    env,
    fmt::Write as _,
    io::{BufRead as _, BufReader, ErrorKind, Lines, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use obtrace_protocols::http2::hpack::Decoder;

use crate::harness::{Goals, Group, Run};

/// The requests of RFC 7541 C.4, Huffman coded, in the order in which a connection has them.
const REQUESTS: [&[u8]; 3] = [
    b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
    b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf",
    b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf",
];

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn ours(decoder: &mut Decoder, block: &[u8]) -> Fields {
    let mut out = Vec::new();
    let mut fields = decoder.decode(block);
    while let Some(field) = fields.next().expect("a block") {
        out.push((field.name.expect("a name").to_vec(), field.value.expect("a value").to_vec()));
    }
    out
}

/// What must be looked at to know all fields.
fn sums(decoder: &mut Decoder, block: &[u8]) -> (usize, usize) {
    let (mut count, mut bytes) = (0, 0);
    let mut fields = decoder.decode(block);
    while let Ok(Some(field)) = fields.next() {
        count += 1;
        bytes += field.name.map_or(0, <[u8]>::len) + field.value.map_or(0, <[u8]>::len);
    }
    (count, bytes)
}

/// The program in `benches/hpack`, which decodes in Go.
struct Go {
    child: Child,
    questions: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Go {
    /// Builds it beside this one and starts it. `None`: Go is not installed.
    fn start() -> Option<Self> {
        let program = env::current_exe().expect("a name").with_file_name("hpack-in-go");
        let built = Command::new("go")
            .args(["build", "-trimpath", "-mod=readonly", "-buildvcs=false", "-o"])
            .arg(&program)
            .arg(".")
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/hpack"))
            .env("CGO_ENABLED", "0")
            .status();
        match built {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            built => assert!(built.expect("Go starts").success(), "benches/hpack is built"),
        }
        let started = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.expect("what was built starts");
        let answers = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Some(Self { questions: child.stdin.take(), child, answers })
    }

    fn ask(&mut self, question: &str) {
        writeln!(self.questions.as_mut().expect("a pipe"), "{question}").expect("it listens");
    }

    fn answer(&mut self) -> String {
        self.answers.next().expect("an answer").expect("text")
    }

    /// The fields of the requests.
    fn fields(&mut self) -> String {
        let mut question = String::new();
        for block in REQUESTS {
            block.iter().for_each(|byte| write!(question, "{byte:02x}").expect("memory"));
            question.push(' ');
        }
        self.ask(&question);
        let mut said = String::new();
        loop {
            match self.answer() {
                end if end.is_empty() => return said,
                field => said = said + &field + "\n",
            }
        }
    }

    /// Decodes all so many times; nanoseconds.
    fn time(&mut self, iterations: u64) -> f64 {
        self.ask(&iterations.to_string());
        self.answer().parse().expect("a number")
    }
}

impl Drop for Go {
    fn drop(&mut self) {
        // It ends when nothing is asked any more.
        self.questions = None;
        let ended = self.child.wait();
        assert!(std::thread::panicking() || ended.is_ok_and(|status| status.success()), "the peer in Go has failed");
    }
}

pub(crate) fn run(run: Run, goals: &mut Goals) {
    let (mut decoder, mut peer) = (Decoder::new(), loona_hpack::Decoder::new());
    let mut said = String::new();
    for block in REQUESTS {
        let fields = ours(&mut decoder, block);
        assert_eq!(fields, peer.decode(block).expect("a block"));
        for (name, value) in fields {
            said += &format!("{}\t{}\n", String::from_utf8_lossy(&name), String::from_utf8_lossy(&value));
        }
    }
    let mut go = Go::start();
    if let Some(go) = &mut go {
        assert_eq!(go.fields(), said);
    }
    // The table is full: what it evicts gives place to what comes.
    for block in REQUESTS.repeat(200) {
        sums(&mut decoder, block);
    }
    // The index of an entry is the same again when the three have come once more.
    let bytes = REQUESTS.iter().map(|block| block.len()).sum();
    let mut group = Group::new("HPACK: the requests of RFC 7541 C.4", "block", REQUESTS.len())
        .add("obtrace-protocols", bytes, || REQUESTS.map(|block| sums(&mut decoder, block)))
        .add("loona-hpack", bytes, || REQUESTS.map(|block| peer.decode(block).map(|fields| fields.len()).ok()));
    if let Some(go) = &mut go {
        group = group.add_elsewhere("golang.org/x/net, in Go", bytes, |iterations| go.time(iterations));
    }
    let outcome = group.run(run);
    goals.ratio("HPACK: times loona-hpack", outcome.nanos[1] / outcome.nanos[0], 50.0, 25.0);
    match outcome.nanos.get(2) {
        Some(go) => goals.ratio("HPACK: times golang.org/x/net", go / outcome.nanos[0], 1.0, 0.75),
        None => goals.skip("HPACK: times golang.org/x/net", 1.0, "Go is not installed"),
    }
    goals.no_allocations("HPACK", outcome.allocations[0]);
}
