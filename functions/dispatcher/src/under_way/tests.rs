//! Who may begin a request, in numbers: what tenants and endpoints leave to each other.

use super::*;

const BEGAN: Timestamp = Timestamp::from_millis(1_795_000_000_000);
const LATE: Timestamp = Timestamp::from_millis(1_795_000_000_000 + UNANSWERED_MS);

/// One request in a batch of its own, which left at [`BEGAN`].
fn one(requests: &Requests, lane: Lane, tenant: &str, endpoint: &str, now: Timestamp) -> Answer {
    let who = (&TenantId::parse(tenant).unwrap(), &EndpointId::parse(endpoint).unwrap());
    let answer = requests.begin(requests.place(lane), who, false, now);
    if let Answer::Begun(request) = &answer {
        request.leaves(BEGAN);
    }
    answer
}

/// As many as may begin in batches of their own, at ever new endpoints with one request each.
fn fill(requests: &Requests, lane: Lane, tenant: &str, endpoints: usize, now: Timestamp) -> (Vec<Request>, Answer) {
    let mut begun = Vec::new();
    for n in 0.. {
        match one(requests, lane, tenant, &format!("ep_{tenant}{}", n % endpoints), now) {
            Answer::Begun(request) => begun.push(request),
            refused => return (begun, refused),
        }
    }
    unreachable!("somebody is refused")
}

#[test]
fn ten_unanswered_requests_stall_their_endpoint_and_no_other() {
    let waiting = Requests::default();
    let ask = |endpoint, now| one(&waiting, Lane::First, "acme", endpoint, now);
    let mut under_way: Vec<Answer> = (0..10).map(|_| ask("ep_1", BEGAN)).collect();
    under_way.push(ask("ep_1", LATE.plus_millis(-1)));
    assert!(under_way.iter().all(|answer| matches!(answer, Answer::Begun(_))));
    assert!(matches!(ask("ep_1", LATE), Answer::No));
    let after_ms = |ms| BEGAN.plus_millis(ms);
    assert!(matches!(ask("ep_1", after_ms(HANGING_MS - 1)), Answer::No));
    assert!(matches!(ask("ep_1", after_ms(HANGING_MS)), Answer::Hangs));
    assert!(matches!(ask("ep_2", LATE), Answer::Begun(_)));
    drop(under_way);
    assert!(matches!(ask("ep_1", LATE), Answer::Begun(_)));
    let standing = waiting.standing();
    assert!(standing.of_endpoint.is_empty() && standing.first.all.is_empty() && standing.first.of_tenant.is_empty());
}

#[test]
fn one_that_has_not_left_yet_is_not_waited_for() {
    let waiting = Requests::default();
    let who = (&TenantId::parse("acme").unwrap(), &EndpointId::parse("ep_1").unwrap());
    let place = waiting.place(Lane::First);
    let asked: Vec<Answer> = (0..11).map(|_| waiting.begin(place, who, false, BEGAN)).collect();
    assert_eq!(waiting.standing().unanswered(who.1, UNANSWERED_MS, LATE), 0);
    assert!(matches!(waiting.begin(place, who, false, LATE), Answer::Begun(_)));
    drop(asked);
}

#[test]
fn quick_answers_never_stall() {
    let waiting = Requests::default();
    for n in 0..1_000 {
        let answered = one(&waiting, Lane::First, "acme", "ep_1", BEGAN.plus_millis(n * 10));
        assert!(matches!(answered, Answer::Begun(_)));
    }
}

#[test]
fn a_tenant_whose_endpoints_are_slow_takes_half_of_the_batches_and_the_next_one_half_of_the_rest() {
    // Of ten the first tenant takes four: a fifth would be the last that one of its two endpoints may take.
    for (lane, places, of_acme, of_other) in [(Lane::First, 200, 100, 50), (Lane::Later, 10, 4, 3)] {
        let requests = Requests::default();
        // So many endpoints that each leaves fewer unanswered than would stall it.
        let (acme, refused) = fill(&requests, lane, "acme", places / 4, LATE);
        assert_eq!(acme.len(), of_acme);
        assert!(matches!(refused, Answer::No | Answer::NotYet), "{refused:?}");
        let (other, _) = fill(&requests, lane, "other", places / 4, LATE);
        assert_eq!(other.len(), of_other);
        // Whoever has nothing under way begins at once, always.
        assert!(matches!(one(&requests, lane, "noor", "ep_n", LATE), Answer::Begun(_)));
        drop(acme);
        assert!(matches!(
            one(&requests, lane, "other", "ep_other1", LATE),
            Answer::Begun(_)
        ));
    }
}

#[test]
fn its_endpoints_that_answer_soon_go_on_and_even_a_burst_leaves_others_a_third() {
    let requests = Requests::default();
    let (slow, refused) = fill(&requests, Lane::First, "acme", 11, LATE);
    assert_eq!(slow.len(), 96);
    assert!(matches!(refused, Answer::No));
    assert!(matches!(
        one(&requests, Lane::First, "acme", "ep_quick", LATE),
        Answer::Begun(_)
    ));

    // Nobody knows yet that they are slow.
    let requests = Requests::default();
    let (burst, refused) = fill(&requests, Lane::First, "acme", 1, BEGAN);
    assert_eq!(burst.len(), 80);
    assert!(matches!(refused, Answer::NotYet));
    // Another one goes on, also if something of its own is unanswered.
    let late = |now| one(&requests, Lane::First, "acme", "ep_late", now);
    let own = late(BEGAN);
    assert!(matches!(late(LATE), Answer::Begun(_)));
    drop(own);
    // Of one endpoint: the tenant's others go on, each with half of the rest, and the first one does not.
    let others: Vec<Vec<Answer>> = (0..5)
        .map(|n| {
            let ask = |_| one(&requests, Lane::First, "acme", &format!("ep_other{n}"), BEGAN);
            let is_begun = |answer: &Answer| matches!(answer, Answer::Begun(_));
            (0..200).map(ask).take_while(is_begun).collect()
        })
        .collect();
    let of_others: Vec<usize> = others.iter().map(Vec::len).collect();
    assert_eq!(of_others, [32, 13, 5, 2, 1]);
    assert!(matches!(
        one(&requests, Lane::First, "acme", "ep_acme0", BEGAN),
        Answer::NotYet
    ));
    assert!(matches!(
        one(&requests, Lane::First, "noor", "ep_n", BEGAN),
        Answer::Begun(_)
    ));
    // Half a second later it is known.
    assert!(matches!(
        one(&requests, Lane::First, "acme", "ep_acme0", LATE),
        Answer::No
    ));
}

#[test]
fn what_is_in_a_batch_that_is_kept_busy_anyway_goes_with_it() {
    let requests = Requests::default();
    let (slow, _) = fill(&requests, Lane::First, "acme", 11, LATE);
    let who = (
        &TenantId::parse("acme").unwrap(),
        &EndpointId::parse("ep_acme10").unwrap(),
    );
    let begun = requests.begin(slow[0].place, who, false, LATE);
    assert!(matches!(begun, Answer::Begun(_)), "{begun:?}");
    assert!(matches!(
        requests.begin(requests.place(Lane::First), who, true, LATE),
        Answer::Begun(_)
    ));
}

#[test]
fn an_endpoint_that_hangs_does_not_get_into_all_the_batches_that_its_tenants_others_keep_busy() {
    let requests = Requests::default();
    let tenant = TenantId::parse("acme").unwrap();
    let ask = |place, endpoint| {
        let who = (&tenant, &EndpointId::parse(endpoint).unwrap());
        requests.begin(place, who, false, BEGAN)
    };
    // In each batch one for an endpoint that answers at once, and one for an endpoint that never does.
    let mut hanging = Vec::new();
    for n in 0..500 {
        let place = requests.place(Lane::First);
        let healthy = ask(place, "ep_healthy");
        assert!(matches!(healthy, Answer::Begun(_)), "{n}: {healthy:?}");
        if let Answer::Begun(request) = ask(place, "ep_hangs") {
            hanging.push(request);
        }
        drop(healthy);
    }
    assert_eq!(hanging.len(), 80);
}

#[test]
fn the_places_are_those_of_the_template() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../template.yaml");
    let template = std::fs::read_to_string(path).unwrap();
    for (name, lane) in [("DeliveryConcurrency", Lane::First), ("RetryConcurrency", Lane::Later)] {
        let parameter = format!("  {name}:\n    Type: Number\n    Default: {}\n", lane.places());
        assert!(template.contains(&parameter), "{name}");
    }
}
