//! Sockets whatever happens to their descriptors, the filter, the verdicts, and what is left behind: nothing.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod rig;

use std::{
    fs,
    time::{Duration, Instant},
};

use obtrace_probes::{
    Options, Reason, Verdict,
    event::{Direction, Role, Transport},
};
use rig::{PAIR, Rig, Script};

#[test]
fn one_socket_through_dup_fork_exec_and_passing() {
    let Some(mut rig) = Rig::new(&Options::new()) else { return };
    rig.run(&format!(
        "{PAIR}
d=os.dup(c.fileno()); os.write(d,b'dup '); os.set_inheritable(d,True)
if os.fork()==0: os.write(d,b'fork '); os._exit(0)
os.wait()
if os.fork()==0: os.execlp('sh','sh','-c','printf \"exec \" >&%d'%d)
os.wait()
a,b=socket.socketpair()
if os.fork()==0:
    _,f,_,_=socket.recv_fds(b,10,1); os.write(f[0],b'passed'); os._exit(0)
socket.send_fds(a,[b'x'],[c.fileno()]); os.wait(); take(s,20)"
    ));
    let c = rig.seen.sender(b"dup fork exec passed");
    assert_eq!(c.open.unwrap().role, Some(Role::Client));
    let mut tgids = c.tgids.clone();
    tgids.dedup();
    assert_eq!(tgids.len(), 4, "four processes wrote: {tgids:?}");
    rig.seen.receiver(b"dup fork exec passed");
}

#[test]
fn sockets_older_than_the_probes_are_joined_with_their_role() {
    let mut script =
        Script::new(&format!("{PAIR}\nprint('ready',flush=True)\nsys.stdin.readline()\nc.send(b'new'); take(s,3)"));
    script.go();
    assert_eq!(script.line(), "ready");
    let Some(mut rig) = Rig::new(&Options::new()) else { return };
    rig.probes.filter().allow(&[script.0.id()]).unwrap();
    rig.probes.join().unwrap();
    script.go();
    rig.finish(script);
    let (c, s) = (rig.seen.sender(b"new").open.unwrap(), rig.seen.receiver(b"new").open.unwrap());
    assert!(c.joined && s.joined);
    assert_eq!((c.role, s.role), (Some(Role::Client), Some(Role::Server)));
}

#[test]
fn only_allowed_processes_are_seen_and_never_the_own() {
    let Some(mut rig) = Rig::new(&Options::new()) else { return };
    let filter = rig.probes.filter();
    assert!(filter.current().unwrap().is_empty());
    let all = filter.allow_all().unwrap();
    let current = filter.current().unwrap();
    let own = std::process::id();
    assert!(all.iter().any(|p| p.local_tgid == own) && !current.iter().any(|p| p.local_tgid == own));
    assert!(current.len() > 1);
    let pids: Vec<u32> = current.iter().map(|p| p.local_tgid).collect();
    filter.block(&pids).unwrap();
    let mut script = Script::new(&format!("{PAIR}\nc.send(b'unseen'); take(s,6)"));
    assert_eq!(filter.block(&[script.0.id()]).unwrap(), 1);
    script.go();
    rig.finish(script);
    assert!(!rig.seen.sockets.values().any(|s| s.sent() == b"unseen"));
}

#[test]
fn verdicts_leave_bytes_out_and_say_how_many() {
    let Some(mut rig) = Rig::new(&Options::new()) else { return };
    let mut script = Script::new(&format!(
        "{PAIR}
c.send(b'head'); take(s,4); print(1,flush=True); sys.stdin.readline()
c.send(b'x'*100); c.sendmsg([b'y'*30,b'z'*30+b'after']); take(s,165); print(2,flush=True); sys.stdin.readline()
c.send(b'i'*1000); take(s,1000); c.send(b'j'); take(s,1); s.send(b'back'); take(c,4); c.close(); s.close()"
    ));
    rig.probes.filter().allow(&[script.0.id()]).unwrap();
    script.go();
    let wait = |rig: &mut Rig, n: usize| {
        let end = Instant::now() + Duration::from_secs(10);
        while rig.seen.sockets.values().filter(|s| s.sent().ends_with(b"head") || s.sent().ends_with(b"after")).count()
            < n
        {
            rig.read();
            assert!(Instant::now() < end, "the bytes did not come");
        }
        std::thread::sleep(Duration::from_millis(50));
        rig.read();
    };
    wait(&mut rig, 1);
    let (id, key, sequence) = {
        let (id, c) = rig.seen.sockets.iter().find(|(_, s)| s.sent() == b"head").unwrap();
        (*id, c.open.unwrap().own_key, c.streams[0].next())
    };
    let verdicts = rig.probes.verdicts();
    assert!(verdicts.set(id, key, Direction::Sent, Verdict::Until(sequence.wrapping_add(160))).unwrap());
    script.go();
    let end = Instant::now() + Duration::from_secs(10);
    while !rig.seen.sockets[&id].sent().ends_with(b"after") {
        rig.read();
        assert!(Instant::now() < end);
    }
    let c = &rig.seen.sockets[&id];
    assert_eq!((c.sent().len(), c.streams[0].skipped, c.streams[0].holes), (169, 160, 0));
    verdicts.set(id, key, Direction::Sent, Verdict::Ignore).unwrap();
    script.go();
    rig.finish(script);
    let c = &rig.seen.sockets[&id];
    assert_eq!((c.sent().len(), c.received()), (169, &b"back"[..]));
    assert_eq!(c.closed.unwrap().skipped, [1001, 0]);
    assert_eq!((c.moved(Direction::Sent), c.moved(Direction::Received)), (4 + 165 + 1001, 4));
    assert!(!verdicts.set(id, key, Direction::Sent, Verdict::Full).unwrap(), "the socket is gone");
}

#[test]
fn overload_loses_bytes_and_counts_each_of_them() {
    let Some(mut rig) = Rig::new(&Options::new().with_ring_bytes(64 << 10)) else { return };
    let mut script = Script::new(&format!(
        "{PAIR}
for i in range(3000): c.sendall(b'm'*(100+i%900)); take(s,100+i%900)
c.close(); s.close()"
    ));
    rig.probes.filter().allow(&[script.0.id()]).unwrap();
    script.go();
    while script.0.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(20));
        rig.read();
    }
    rig.finish(script);
    let sent: u64 = (0..3000).map(|i| 100 + i % 900).sum();
    let captured: u64 = rig.seen.of(Transport::Tcp).iter().flat_map(|s| &s.streams).map(|s| s.captured).sum();
    let ring = rig.losses().get(Reason::Ring);
    assert!(ring.bytes > 0, "there was no overload");
    assert_eq!(captured + ring.bytes, 2 * sent, "both ends together");
}

#[test]
fn overload_is_accounted_for_in_each_connection_and_its_end_is_told() {
    let Some(mut rig) = Rig::new(&Options::new().with_ring_bytes(64 << 10)) else { return };
    // Most connections live and die while nobody reads; each says how much it moved in its last bytes' place.
    let mut script = Script::new(&format!(
        "{PAIR}
for n in range(300):
    if n: c=socket.create_connection(l.getsockname()); s,_=l.accept()
    for i in range(10): c.sendall(b'm'*(100+n)); take(s,100+n); s.sendall(b'r'*10)
    if n%3==0: c.shutdown(socket.SHUT_WR); assert s.recv(1)==b''
    if n%3!=1: take(c,100); s.close(); assert c.recv(1)==b''
    c.close(); s.close()"
    ));
    rig.probes.filter().allow(&[script.0.id()]).unwrap();
    script.go();
    script.end();
    rig.finish(script);
    let losses = rig.losses();
    assert_eq!(losses.get(Reason::Closes).events, 0);
    let sockets = rig.seen.of(Transport::Tcp);
    assert_eq!(sockets.len(), 600);
    let (mut lost, mut records) = (0, 0);
    for (index, socket) in sockets.iter().enumerate() {
        let (n, role) = (index as u64 / 2, socket.open.unwrap().role);
        let (requests, answers) = (10 * (100 + n), 100);
        // Without having read the answers the client ends with a reset.
        let read = if n % 3 == 1 { 0 } else { answers };
        let expected = if role == Some(Role::Client) { (requests, read) } else { (answers, requests) };
        assert_eq!((socket.moved(Direction::Sent), socket.moved(Direction::Received)), expected, "{n} {role:?}");
        lost += expected.0 + expected.1 - socket.streams.iter().map(|s| s.captured).sum::<u64>();
        records += socket.closed.unwrap().records.iter().map(|r| u64::from(*r)).sum::<u64>();
    }
    assert!(lost > 500_000, "there was no overload: {lost}");
    assert_eq!(losses.get(Reason::Ring).bytes, lost);
    assert!(records > 5_000 && records < losses.get(Reason::Ring).events, "{records}: {losses:?}");
}

#[test]
fn what_the_kernel_did_not_take_is_not_lost() {
    let Some(mut rig) = Rig::new(&Options::new().with_ring_bytes(64 << 10)) else { return };
    let mut script = Script::new(&format!(
        "{PAIR}
c.setblocking(False); c.setsockopt(socket.SOL_SOCKET,socket.SO_SNDBUF,20000); d=b'd'*3000000; n=k=0
while n<len(d):
    k+=1
    try: n+=c.send(d[n:n+600000]) if k%2 else c.sendmsg([d[n:n+300000],d[n+300000:n+600000]])
    except BlockingIOError:
        try: s.recv(300000,socket.MSG_DONTWAIT)
        except BlockingIOError: time.sleep(.001)
c.close()
while s.recv(65536): pass
s.close()"
    ));
    rig.probes.filter().allow(&[script.0.id()]).unwrap();
    script.go();
    script.end();
    rig.finish(script);
    let sockets = rig.seen.of(Transport::Tcp);
    assert!(sockets.iter().all(|s| s.moved(Direction::Sent) + s.moved(Direction::Received) == 3_000_000));
    let captured: u64 = sockets.iter().flat_map(|s| &s.streams).map(|s| s.bytes.len() as u64 - s.holes).sum();
    let losses = rig.losses();
    let lost: u64 = losses.iter().map(|(_, loss)| loss.bytes).sum();
    assert!(losses.get(Reason::Ring).bytes > 3_000_000, "there was no overload: {losses:?}");
    // Counted once: what was offered again is in neither, what was captured and not taken may be offered again.
    assert!(captured + lost >= 6_000_000 && captured + lost < 6_100_000, "{captured} captured, {losses:?}");
}

#[test]
fn past_the_table_sockets_are_counted() {
    let Some(mut rig) = Rig::new(&Options::new().with_sockets(4)) else { return };
    rig.run(
        "p=[socket.socketpair() for _ in range(10)]
for a,b in p: a.send(b'12345'); b.recv(5)",
    );
    let loss = rig.losses().get(Reason::Sockets);
    let captured: u64 = rig.seen.of(Transport::Unix).iter().flat_map(|s| &s.streams).map(|s| s.captured).sum();
    assert_eq!(captured + loss.bytes, 100);
    assert!(loss.bytes >= 5 * 16, "{loss:?}");
}

#[test]
fn nothing_is_left_behind() {
    let Some(rig) = Rig::new(&Options::new()) else { return };
    drop(rig);
    let bpf = || {
        fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|e| fs::read_link(e.unwrap().path()).ok())
            .filter(|l| l.to_string_lossy().contains("bpf"))
            .count()
    };
    // Other tests of this file hold probes of their own at the same time.
    let fewest = (0..200)
        .map(|_| {
            std::thread::sleep(Duration::from_millis(50));
            bpf()
        })
        .min();
    assert_eq!(fewest, Some(0));
}
