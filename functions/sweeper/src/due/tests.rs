//! Whose turn it is in a pass.

use super::*;

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn walk(shares: bool) -> Walk<'static> {
    Walk {
        partition: "due/0",
        began: Timestamp::default(),
        behind: false,
        shares,
        moved: 0,
        is_over: false,
    }
}

/// How many of so many erasures of a tenant a walk takes.
fn taken_of(walk: &mut Walk<'_>, taken: &mut HashMap<TenantId, Taken>, name: &str, count: u8) -> usize {
    let erasure = |n: u8| Due::Erasure(tenant(name), ErasureId::mint(Timestamp::default(), n.into()));
    (0..count).filter(|n| walk.takes(&erasure(*n), taken)).count()
}

#[test]
fn a_crowd_of_one_tenants_erasures_has_a_share_and_then_what_time_is_left() {
    let (mut first, mut taken) = (walk(true), HashMap::new());
    assert_eq!(taken_of(&mut first, &mut taken, "acme", 100), JOB_SHARE);
    assert!(first.is_over);
    let job = Due::Job(tenant("acme"), ReplayId::mint(Timestamp::default(), 1));
    assert!(!first.takes(&job, &mut taken), "a job is one of them");
    assert_eq!(taken_of(&mut first, &mut taken, "globex", 20), 20);
    let endpoint = Due::Health(tenant("acme"), EndpointId::mint(1));
    assert!(first.takes(&endpoint, &mut taken));
    let mut rest = walk(false);
    assert_eq!(taken_of(&mut rest, &mut HashMap::new(), "acme", 100), 100);
}
