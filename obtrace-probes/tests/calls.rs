//! Every system call that moves bytes of a socket, seen with exactly the bytes that it moved.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod rig;

use std::time::{Duration, Instant};

use obtrace_probes::{
    Error, Options, Reason, Verdict,
    event::{Direction, Missing, Role, Transport},
};
use rig::{PAIR, Rig, Script};

fn run(code: &str) -> Option<(Rig, String)> {
    let mut rig = Rig::new(&Options::new())?;
    let out = rig.run(&format!("{PAIR}\n{code}"));
    Some((rig, out))
}

#[test]
fn plain_calls() {
    let code = "
c.send(b'one'); take(s,3); os.write(c.fileno(),b'two'); os.read(s.fileno(),10); s.sendall(b'back'); take(c,4)
c.close(); assert s.recv(5)==b''; s.close()";
    let Some((rig, _)) = run(code) else { return };
    let [c, s] = rig.seen.of(Transport::Tcp)[..] else { panic!() };
    let (client, server) = (c.open.unwrap(), s.open.unwrap());
    assert_eq!((client.role, server.role), (Some(Role::Client), Some(Role::Server)));
    assert_eq!((client.local, client.remote), (server.remote, server.local));
    assert!(client.local.is_some() && client.remote.is_some() && !client.joined && client.netns != 0);
    assert_eq!((c.sent(), c.received()), (&b"onetwo"[..], &b"back"[..]));
    assert_eq!((s.sent(), s.received()), (&b"back"[..], &b"onetwo"[..]));
    assert!(c.closed.is_some() && s.closed.is_some());
    assert!(rig.seen.exits.contains(&c.tgids[0]));
}

#[test]
fn vectored_calls() {
    let code = "
os.writev(c.fileno(),[b'ab',b'',b'cde']); b=[bytearray(2),bytearray(10)]; os.readv(s.fileno(),b)
c.sendmsg([b'x',b'yz']); s.recvmsg(100); c.sendmsg([b'single']); s.recvmsg_into([bytearray(3),bytearray(30)])
c.sendmsg([bytes([65+i%26]) for i in range(200)]); take(s,200)";
    let Some((rig, _)) = run(code) else { return };
    let many: Vec<u8> = (0..200).map(|i| 65 + i % 26).collect();
    let expected = [b"abcdexyzsingle", &many[..]].concat();
    let sender = rig.seen.sender(&expected);
    assert!(sender.streams[0].records <= 5, "small pieces are gathered: {}", sender.streams[0].records);
    rig.seen.receiver(&expected);
}

#[test]
fn large_transfers_come_in_chunks_up_to_the_limit() {
    let code = "
d=bytes(i*7%251 for i in range(300000)); t=threading.Thread(target=lambda:take(s,300000+90000)); t.start()
c.sendall(d); c.sendmsg([d[:5000],d[:80000],d[:5000]]); t.join()";
    let Some((rig, _)) = run(code) else { return };
    let data: Vec<u8> = (0..300_000u32).map(|i| (i * 7 % 251) as u8).collect();
    let c = rig.seen.of(Transport::Tcp)[0];
    let budget = rig.losses().get(Reason::Budget);
    assert_eq!(c.sent().len(), 390_000);
    assert_eq!(c.sent()[..262_144], data[..262_144]);
    assert_eq!(c.sent()[300_000..], [&data[..5000], &data[..80_000], &data[..5000]].concat());
    assert_eq!(c.streams[0].holes, 300_000 - 262_144);
    assert_eq!(c.streams[0].missing, [Missing::Budget]);
    let holes: u64 = rig.seen.of(Transport::Tcp).iter().flat_map(|s| &s.streams).map(|s| s.holes).sum();
    assert_eq!(budget.bytes, holes);
}

#[test]
fn partial_sends_of_a_nonblocking_socket() {
    let code = "
c.setblocking(False); c.setsockopt(socket.SOL_SOCKET,socket.SO_SNDBUF,20000); d=bytes(i%253 for i in range(600000)); n=0
while n<len(d):
    try: n+=c.send(d[n:n+50000])
    except BlockingIOError: s.recv(30000)
c.setblocking(True); c.shutdown(socket.SHUT_WR)
while s.recv(65536): pass";
    let Some((rig, _)) = run(code) else { return };
    let data: Vec<u8> = (0..600_000u32).map(|i| (i % 253) as u8).collect();
    assert!(rig.seen.sender(&data).streams[0].records > 12, "some sends were partial");
    rig.seen.receiver(&data);
}

#[test]
fn peeked_bytes_count_once() {
    let code = "
c.send(b'peeked'); assert s.recv(6,socket.MSG_PEEK)==b'peeked'; assert s.recvmsg(3,0,socket.MSG_PEEK)[0]==b'pee'; take(s,6)";
    let Some((rig, _)) = run(code) else { return };
    assert_eq!(rig.seen.receiver(b"peeked").streams[1].records, 1);
}

#[test]
fn sendfile_and_splice_keep_the_offsets() {
    let code = "
f=os.memfd_create('x'); os.write(f,b'z'*5000); c.send(b'head'); os.sendfile(c.fileno(),f,0,5000); c.send(b'tail'); take(s,5008)
r,w=os.pipe(); os.write(w,b'p'*100); os.splice(r,c.fileno(),100); take(s,100); c.send(b'end'); r2,w2=os.pipe(); 
assert os.splice(s.fileno(),w2,3)==3; c.send(b'!'); take(s,1)";
    let Some((rig, _)) = run(code) else { return };
    let [c, s] = rig.seen.of(Transport::Tcp)[..] else { panic!() };
    let zeros = |n| vec![0u8; n];
    assert_eq!(c.sent(), [b"head", &zeros(5000)[..], b"tail", &zeros(100), b"end!"].concat());
    assert_eq!(c.streams[0].missing, [Missing::Kernel; 2]);
    assert_eq!((c.streams[0].holes, s.streams[1].holes), (5100, 3));
    assert_eq!(rig.losses().get(Reason::Kernel).bytes, 5103);
    assert!(s.received().ends_with(b"\0\0\0!"));
}

#[test]
fn unix_stream_sockets() {
    let code = "
a,b=socket.socketpair(); a.send(b'hello'); b.recv(2); b.recv(10); b.sendmsg([b'wo',b'rld']); a.recv(10)
p='\\0obtrace-test-%d'%os.getpid(); ul=socket.socket(socket.AF_UNIX); ul.bind(p); ul.listen()
u=socket.socket(socket.AF_UNIX); u.connect(p); v,_=ul.accept(); u.send(b'named'); v.recv(10)
a.close(); b.close(); u.close(); v.close()
a,b=socket.socketpair(); a.send(b'replaced'); b.recv(9); os.dup2(0,a.fileno()); b.close()
if os.fork()==0: a,b=socket.socketpair(); a.send(b'left'); b.recv(9); os._exit(0)
os.wait()
a,b=socket.socketpair(); a.send(b'range'); b.recv(9); f,g=a.detach(),b.detach(); os.closerange(f,g+1)
if os.fork()==0:
    a,b=socket.socketpair(); a.send(b'exec'); b.recv(9)
    try: os.execv('/nonexistent',['no'])
    except OSError: a.send(b'uted'); b.recv(9)
    os.execlp('true','true')
os.wait()
if os.fork()==0:
    a,b=socket.socketpair(); os.dup2(a.fileno(),1500,False); a.close(); os.write(1500,b'high'); b.recv(9); os._exit(0)
os.wait()";
    let Some((rig, _)) = run(code) else { return };
    let [a, b, u, v, replaced, _, left, _, range, _, executed, _, high, _] = rig.seen.of(Transport::Unix)[..] else {
        panic!("{}", rig.seen.of(Transport::Unix).len())
    };
    assert_eq!(
        (a.sent(), a.received(), b.sent(), b.received()),
        (&b"hello"[..], &b"world"[..], &b"world"[..], &b"hello"[..])
    );
    let keys = (a.open.unwrap().own_key, a.open.unwrap().peer_key);
    assert_eq!(keys, (b.open.unwrap().peer_key, b.open.unwrap().own_key));
    assert_eq!((u.open.unwrap().role, v.open.unwrap().role), (Some(Role::Client), Some(Role::Server)));
    assert_eq!((u.sent(), v.received()), (&b"named"[..], &b"named"[..]));
    let sent = [replaced, left, range, executed, high].map(|socket| socket.sent());
    assert_eq!(sent, [&b"replaced"[..], b"left", b"range", b"executed", b"high"]);
    assert_eq!((a.moved(Direction::Sent), a.moved(Direction::Received)), (5, 5));
    // However the last descriptor goes: by close, dup2, close_range, exec, or with its process.
    assert!(rig.seen.of(Transport::Unix).iter().all(|s| s.closed.is_some() && s.after_close == 0));
}

#[test]
fn datagrams_of_chosen_ports_only() {
    let code = "
d=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); d.bind(('127.0.0.1',0)); print(d.getsockname()[1])
q=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); q.connect(('127.0.0.1',53535)); n=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)
r=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); r.bind(('127.0.0.1',53535))
q.send(b'connected'); _,a=r.recvfrom(100); r.sendto(b'answer',a); q.recv(100); n.sendto(b'unconnected',('127.0.0.1',53535)); r.recvfrom(4)
n.sendmsg([b'vec',b'tor'],[],0,('127.0.0.1',53535)); r.recvmsg(100); n.sendto(b'other port',d.getsockname()); d.recv(100)
q.close(); n.close(); r.close()";
    let Some(mut rig) = Rig::new(&Options::new().with_datagram_ports(vec![53535])) else { return };
    rig.run(code);
    let remote = Some("127.0.0.1:53535".parse().unwrap());
    let udp = rig.seen.of(Transport::Udp);
    let [q, r, n] = udp[..] else { panic!("{}", udp.len()) };
    assert_eq!(q.datagrams[0], (Direction::Sent, remote, 9, b"connected".to_vec()));
    assert_eq!(
        (q.datagrams[1].0, q.datagrams[1].1, &q.datagrams[1].3[..]),
        (Direction::Received, remote, &b"answer"[..])
    );
    assert_eq!(n.datagrams[0], (Direction::Sent, remote, 11, b"unconnected".to_vec()));
    assert_eq!(n.datagrams[1], (Direction::Sent, remote, 6, b"vector".to_vec()));
    assert_eq!(n.datagrams.len(), 2);
    let received: Vec<&[u8]> = r.datagrams.iter().filter(|d| d.0 == Direction::Received).map(|d| &d.3[..]).collect();
    assert_eq!(received, [&b"connected"[..], b"unco", b"vector"]);
    assert!(r.datagrams.iter().all(|d| d.1.is_some()));
    assert!(udp.iter().all(|s| s.closed.is_some()));
}

#[test]
fn verdicts_on_datagrams() {
    let Some(mut rig) = Rig::new(&Options::new().with_datagram_ports(vec![53537])) else { return };
    let mut script = Script::new(
        "r=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); r.bind(('127.0.0.1',53537)); r.sendto(b'x',r.getsockname())
r.recv(9); sys.stdin.readline(); r.sendto(b'unseen',r.getsockname()); r.recv(9)",
    );
    rig.probes.filter().allow(&[script.0.id()]).unwrap();
    script.go();
    let end = Instant::now() + Duration::from_secs(10);
    while rig.seen.of(Transport::Udp).first().is_none_or(|socket| socket.datagrams.len() < 2) {
        rig.read();
        assert!(Instant::now() < end, "the datagram did not come");
    }
    let open = rig.seen.of(Transport::Udp)[0].open.unwrap();
    let set = |verdict| rig.probes.verdicts().set(open.socket, open.own_key, Direction::Sent, verdict);
    assert!(matches!(set(Verdict::Until(9)), Err(Error::NoStream(socket)) if socket == open.socket));
    assert!(set(Verdict::Ignore).unwrap());
    script.go();
    rig.finish(script);
    let received: Vec<_> = rig.seen.of(Transport::Udp)[0].datagrams.iter().map(|d| (d.0, &d.3[..])).collect();
    let (sent, back) = (Direction::Sent, Direction::Received);
    assert_eq!(received, [(sent, &b"x"[..]), (back, b"x"), (back, b"unseen")]);
}

#[test]
fn processes_are_told_of_with_their_names() {
    let code = "
if os.fork()==0: os.execlp('true','true')
os.wait()
threading.Thread(target=lambda:0).start(); print(open('/proc/self/comm').read())";
    let Some((rig, out)) = run(code) else { return };
    let names = |name: &obtrace_probes::event::TaskName| name.to_string();
    let forks: Vec<_> = rig.seen.forks.iter().map(|f| (names(&f.name), f.parent.tgid == f.child.tgid)).collect();
    let [.., (process, false), (thread, true)] = &forks[..] else { panic!("{forks:?}") };
    assert_eq!((process.as_str(), thread), (out.trim(), process));
    let child = rig.seen.forks[rig.seen.forks.len() - 2].child.tgid;
    let execs: Vec<_> = rig.seen.execs.iter().filter(|e| e.task.tgid == child).collect();
    assert_eq!((execs.len(), execs[0].name.as_bytes(), execs[0].traced), (1, &b"true"[..], true));
}

#[test]
fn sendmmsg_and_recvmmsg() {
    let code = "
import ctypes
libc=ctypes.CDLL(None,use_errno=True)
class I(ctypes.Structure): _fields_=[('b',ctypes.c_void_p),('l',ctypes.c_size_t)]
class M(ctypes.Structure): _fields_=[('n',ctypes.c_void_p),('nl',ctypes.c_uint),('v',ctypes.POINTER(I)),('vl',ctypes.c_size_t),('c',ctypes.c_void_p),('cl',ctypes.c_size_t),('f',ctypes.c_int)]
class MM(ctypes.Structure): _fields_=[('h',M),('l',ctypes.c_uint)]
def mm(bufs):
    a=(MM*len(bufs))(); keep=[]
    for m,b in zip(a,bufs):
        v=(I*1)(I(ctypes.addressof(b),len(b.raw)-1)); keep.append(v); m.h.v=v; m.h.vl=1
    return a,keep
q=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); r=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); r.bind(('127.0.0.1',53536)); q.connect(r.getsockname())
a,k=mm([ctypes.create_string_buffer(b'first'),ctypes.create_string_buffer(b'second')]); assert libc.sendmmsg(q.fileno(),a,2,0)==2
b,k2=mm([ctypes.create_string_buffer(100),ctypes.create_string_buffer(100)]); assert libc.recvmmsg(r.fileno(),b,2,0,None)==2";
    let Some(mut rig) = Rig::new(&Options::new().with_datagram_ports(vec![53536])) else { return };
    rig.run(code);
    let udp = rig.seen.of(Transport::Udp);
    let texts: Vec<Vec<&[u8]>> = udp.iter().map(|s| s.datagrams.iter().map(|d| &d.3[..]).collect()).collect();
    assert_eq!(texts, [[&b"first"[..], b"second"], [b"first", b"second"]]);
}

#[test]
fn failed_connects() {
    let code = "
import errno
p=socket.socket(); p.bind(('127.0.0.1',0)); a=p.getsockname(); print(a[1])
for blocking in (True,False):
    k=socket.socket(); k.setblocking(blocking)
    try: k.connect(a)
    except OSError: pass
    time.sleep(.05); k.close()
k=socket.socket()
try: k.connect(('255.255.255.255',9))
except OSError as e: print(e.errno)
u=socket.socket(socket.AF_UNIX)
try: u.connect('/nonexistent/socket')
except OSError: pass";
    let Some((rig, out)) = run(code) else { return };
    let mut lines = out.lines();
    let port: u16 = lines.next().unwrap().parse().unwrap();
    let unreachable: u32 = lines.next().unwrap().parse().unwrap();
    let failed: Vec<_> = rig.seen.failed.iter().map(|f| (f.transport, f.remote.map(|a| a.port()), f.errno)).collect();
    let refused = libc::ECONNREFUSED as u32;
    assert_eq!(
        failed,
        [
            (Transport::Tcp, Some(port), refused),
            (Transport::Tcp, Some(port), refused),
            (Transport::Tcp, Some(9), unreachable),
            (Transport::Unix, None, libc::ENOENT as u32),
        ]
    );
    assert!(rig.seen.failed.iter().all(|f| f.started <= f.time));
}

#[test]
fn memory_that_cannot_be_read_is_a_counted_fault() {
    let code = "
import mmap,ctypes
libc=ctypes.CDLL(None,use_errno=True)
f=os.memfd_create('x'); os.ftruncate(f,4096); m=mmap.mmap(f,4096); a=ctypes.addressof(ctypes.c_char.from_buffer(m))
libc.madvise(ctypes.c_void_p(a),4096,4)
c.send(b'before'); assert libc.send(c.fileno(),ctypes.c_void_p(a),50,0)==50; c.send(b'after'); take(s,61)";
    let Some((rig, _)) = run(code) else { return };
    let c = rig.seen.of(Transport::Tcp)[0];
    assert_eq!(c.sent(), [b"before", &[0; 50][..], b"after"].concat());
    assert_eq!((c.streams[0].holes, &c.streams[0].missing[..]), (50, &[Missing::Fault][..]));
    assert_eq!(rig.losses().get(Reason::Fault).bytes, 50);
}
