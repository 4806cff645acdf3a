use super::*;

const A: &str = "6f1ed002-ab59-4c1c-9a3d-0c1b2a3d4e5f";
const B: &str = "7f1ed002-ab59-4c1c-9a3d-0c1b2a3d4e5f";

fn cgroup(pod: &str, id: &str) -> String {
    format!("0::/kubepods/besteffort/pod{pod}/{id}\n")
}

fn id(letter: char) -> String {
    letter.to_string().repeat(64)
}

fn pod(uid: &str) -> PodRecord {
    let mut pod = PodRecord::new(uid.parse().unwrap(), "shop".to_owned(), "cart-x1".to_owned());
    pod.service = "cart".to_owned();
    pod.attributes = vec![("service.name", "cart".to_owned()), ("k8s.pod.name", "cart-x1".to_owned())];
    pod.containers = vec![("app".to_owned(), None), ("log".to_owned(), Some(id('b')))];
    pod.addresses = vec!["10.0.0.7".parse().unwrap()];
    pod
}

fn node() -> Cluster {
    Cluster::of_node(Settings::new("node1"))
}

/// Two agents on one kernel see the same processes: each takes those of the Pods in its own list, so none is taken twice.
#[test]
fn two_agents_on_one_kernel_share_no_process() {
    let (first, second) = (node(), node());
    first.set_pod(pod(A));
    second.set_pod(pod(B));
    let processes =
        [cgroup(A, &id('a')), cgroup(B, &id('a')), "0::/system.slice/sshd.service\n".to_owned(), String::new()];
    let observed = |cluster: &Cluster| processes.iter().map(|process| cluster.observes(process)).collect::<Vec<_>>();
    assert_eq!(observed(&first), [true, false, false, false]);
    assert_eq!(observed(&second), [false, true, false, false]);
}

#[test]
fn what_somebody_else_reports_is_left_alone() {
    let cluster = node();
    for coverage in [Coverage::Sidecar, Coverage::Loaders, Coverage::Excluded, Coverage::Namespace, Coverage::Observed]
    {
        let mut pod = pod(A);
        pod.coverage = coverage;
        let before = cluster.generation();
        cluster.set_pod(pod);
        assert!(cluster.generation() > before, "discovery has to look again");
        assert_eq!(cluster.observes(&cgroup(A, &id('a'))), coverage == Coverage::Observed, "{coverage:?}");
    }
}

#[test]
fn a_pod_beyond_the_bound_is_counted_and_not_observed() {
    let mut settings = Settings::new("node1");
    settings.max_pods = 1;
    let cluster = Cluster::of_node(settings);
    cluster.set_pod(pod(A));
    cluster.set_pod(pod(B));
    // One that is known changes all the same.
    let mut changed = pod(A);
    changed.coverage = Coverage::Excluded;
    cluster.set_pod(changed);
    assert_eq!((cluster.pods(), cluster.counters().pods_refused), (1, 1));
    assert!(!cluster.observes(&cgroup(A, "")) && !cluster.observes(&cgroup(B, "")));
}

#[test]
fn the_container_is_known_once_its_id_is() {
    let cluster = node();
    cluster.set_pod(pod(A));
    let second = cluster.identity(&cgroup(A, &id('b')));
    assert!(second.complete && second.attributes.contains(&("k8s.container.name", "log".to_owned())));
    assert!(second.attributes.contains(&("service.instance.id", "shop.cart-x1.log".to_owned())));
    let first = cluster.identity(&cgroup(A, &id('a')));
    assert!(!first.complete && first.attributes.contains(&("service.name", "cart".to_owned())));
    let mut known = pod(A);
    known.containers = vec![("app".to_owned(), Some(id('a'))), ("log".to_owned(), Some(id('b')))];
    cluster.set_pod(known);
    let first = cluster.identity(&cgroup(A, &id('a')));
    assert!(first.complete && first.attributes.contains(&("k8s.container.name", "app".to_owned())));
}

#[test]
fn without_the_api_a_pod_is_its_control_group() {
    let cluster = node();
    assert!(!cluster.observes(&cgroup(A, &id('a'))));
    cluster.set_blind(true);
    assert!(cluster.observes(&cgroup(A, &id('a'))));
    assert!(!cluster.observes("0::/system.slice/sshd.service\n"), "and the node's own processes are left alone");
    let identity = cluster.identity(&cgroup(A, &id('a')));
    let expected = [("k8s.node.name", "node1"), ("host.name", "node1"), ("k8s.pod.uid", A)]
        .map(|(key, value)| (key, value.to_owned()));
    assert_eq!((identity.attributes, identity.complete), (expected.to_vec(), false));
}

#[test]
fn a_static_pod_is_found_by_its_checksum() {
    let checksum = "1a2b3c4d5e6f708192a3b4c5d6e7f809";
    let cluster = node();
    let mut mirror = pod(A);
    mirror.static_uid = Some(checksum.parse().unwrap());
    cluster.set_pod(mirror);
    assert!(cluster.observes(&cgroup(checksum, &id('a'))));
    assert_eq!(cluster.pods(), 1);
    cluster.keep_pods(&FxHashSet::default());
    assert!(!cluster.observes(&cgroup(checksum, &id('a'))) && cluster.pods() == 0);
}

#[test]
fn peers_are_called_by_their_pod() {
    let cluster = node();
    cluster.set_pod(pod(A));
    let peer = cluster.peer("10.0.0.7".parse().unwrap()).unwrap();
    assert_eq!((peer.name.as_str(), peer.namespace.as_str()), ("cart", "shop"));
    // As a socket for both versions has it.
    assert!(cluster.peer("::ffff:10.0.0.7".parse().unwrap()).is_some());
    cluster.remove_pod(A.parse().unwrap());
    assert_eq!(cluster.peer("10.0.0.7".parse().unwrap()), None);
}

#[test]
fn beside_a_pod_every_process_is_of_that_pod() {
    let identity =
        Identity { attributes: vec![("service.name", "cart".to_owned())], complete: true, ..Identity::default() };
    let cluster = Cluster::of_pod(identity.clone());
    for text in ["", "0::/\n", "0::/../abc\n"] {
        assert!(cluster.observes(text));
        assert_eq!(cluster.identity(text), identity);
    }
    assert!(!cluster.is_selective());
}
