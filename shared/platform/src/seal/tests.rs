//! What opens where, under which key, and what never does.

use super::*;

fn secrets() -> Credentials {
    let until = Timestamp::from_millis(1_795_000_000_000);
    Credentials {
        previous: Some((Secret::from_random([2; 32]), until)),
        auth: Some(EndpointAuth::Bearer {
            token: "token".to_owned(),
        }),
        headers: CustomHeaders::parse([("X-Tenant", "t1"), ("Authorization", "mine")]).unwrap(),
        ..Credentials::new(Secret::from_random([1; 32]))
    }
}

#[test]
fn each_header_is_there_once_and_ours_comes_before_theirs() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let standard = vec![pair("x-tenant", "t1"), pair("authorization", "Bearer token")];
    assert_eq!(secrets().headers(Profile::Standard), standard);
    let theirs = Credentials {
        headers: CustomHeaders::parse([("x-webhook-secret", "theirs")]).unwrap(),
        ..Credentials::new(Secret::parse_chosen("my own").unwrap())
    };
    assert_eq!(theirs.headers(Profile::Utel), [pair("x-webhook-secret", "theirs")]);
    assert_eq!(theirs.headers(Profile::Voicehub), [pair("x-webhook-secret", "my own")]);
}

#[test]
fn what_was_sealed_before_there_was_authentication_opens() {
    let sealed: Sealed = serde_json::from_str(r#"{"s":"whsec_x"}"#).unwrap();
    assert!(sealed.a.is_none() && sealed.h.is_empty());
    let plain = Credentials::new(Secret::from_random([1; 32]));
    let text = serde_json::to_string(&Sealed {
        s: plain.secret.reveal().to_owned(),
        p: None,
        a: None,
        h: Vec::new(),
    });
    assert_eq!(text.unwrap(), format!(r#"{{"s":"{}"}}"#, plain.secret.reveal()));
}

#[test]
fn opens_only_where_it_was_sealed() {
    let sealer = Sealer::new(&[9; 32], Random::seeded(1));
    let (tenant, endpoint) = (TenantId::parse("acme").unwrap(), EndpointId::mint(1));
    let sealed = sealer.seal(&tenant, &endpoint, &secrets()).unwrap();
    assert_eq!(sealer.open(&tenant, &endpoint, &sealed), Ok(secrets()));
    assert_eq!(sealer.open(&tenant, &EndpointId::mint(2), &sealed), Err(SealError));
    assert_eq!(
        sealer.open(&TenantId::parse("other").unwrap(), &endpoint, &sealed),
        Err(SealError)
    );
    assert_eq!(
        Sealer::new(&[8; 32], Random::seeded(1)).open(&tenant, &endpoint, &sealed),
        Err(SealError)
    );
    for cut in 0..sealed.as_bytes().len() {
        let torn = SealedSecrets::from_bytes(sealed.as_bytes()[..cut].to_vec());
        assert_eq!(sealer.open(&tenant, &endpoint, &torn), Err(SealError));
    }
}

#[test]
fn a_derived_key_is_the_same_everywhere_and_another_for_each_purpose() {
    let derived = |data_key, purpose| Sealer::new(&data_key, Random::seeded(1)).derive_key(purpose);
    assert_eq!(derived([9; 32], "cursors"), derived([9; 32], "cursors"));
    assert_ne!(derived([9; 32], "cursors"), derived([9; 32], "portal"));
    assert_ne!(derived([9; 32], "cursors"), derived([8; 32], "cursors"));
}

#[test]
fn an_old_secret_signs_until_its_overlap_ends() {
    let until = Timestamp::from_millis(1_795_000_000_000);
    assert_eq!(secrets().signing(until.plus_millis(-1)).len(), 2);
    assert_eq!(secrets().signing(until).len(), 1);
}

#[test]
fn what_a_later_key_seals_says_so_and_opens_under_it_alone() {
    let (tenant, endpoint) = (TenantId::parse("acme").unwrap(), EndpointId::mint(1));
    let first = Sealer::new(&[9; 32], Random::seeded(1));
    let third = Sealer::of_version(3, &[8; 32], Random::seeded(1));
    let old = first.seal(&tenant, &endpoint, &secrets()).unwrap();
    assert_eq!(
        (old.key_version(), old.as_bytes()[0]),
        (Some(1), 1),
        "as every release reads it"
    );
    let new = third.reseal(&first, (&tenant, &endpoint), &old).unwrap();
    assert_eq!(
        (new.key_version(), &new.as_bytes()[..5]),
        (Some(3), [2, 0, 0, 0, 3].as_slice())
    );
    assert_eq!(third.open(&tenant, &endpoint, &new), Ok(secrets()));
    assert_eq!(third.open(&tenant, &endpoint, &old), Err(SealError));
    assert_eq!(first.open(&tenant, &endpoint, &new), Err(SealError));
    // Neither the place nor the version that it names can be changed.
    assert_eq!(third.open(&tenant, &EndpointId::mint(2), &new), Err(SealError));
    assert_eq!(
        third.open(&TenantId::parse("other").unwrap(), &endpoint, &new),
        Err(SealError)
    );
    assert_eq!(
        third.reseal(&first, (&tenant, &EndpointId::mint(2)), &old),
        Err(SealError),
        "what does not open is not sealed anew"
    );
    let mut renamed = new.as_bytes().to_vec();
    renamed[4] = 4;
    let same_key = Sealer::of_version(4, &[8; 32], Random::seeded(1));
    assert_eq!(
        same_key.open(&tenant, &endpoint, &SealedSecrets::from_bytes(renamed)),
        Err(SealError)
    );
    for cut in 0..new.as_bytes().len() {
        let torn = SealedSecrets::from_bytes(new.as_bytes()[..cut].to_vec());
        assert_eq!(third.open(&tenant, &endpoint, &torn), Err(SealError));
    }
}

#[test]
fn a_value_of_no_known_form_names_no_key() {
    for bytes in [
        &[][..],
        &[0],
        &[3, 0, 0, 0, 2],
        &[2, 0, 0],
        &[2, 0, 0, 0, 1, 5],
        &[2, 0, 0, 0, 0],
    ] {
        assert_eq!(
            SealedSecrets::from_bytes(bytes.to_vec()).key_version(),
            None,
            "{bytes:?}"
        );
    }
}

/// What another implementation of AES-256-GCM (`AESGCM` of Python's cryptography) sealed: nonce 0 to 11, key 32 times the byte,
/// bound to `redial/acme/ep_1`, later `redial/3/acme/ep_1`. What is stored in an installation never changes its form.
#[test]
fn values_of_both_forms_open_as_they_were_written_once() {
    let under_the_first = "01000102030405060708090a0b9173e8e0066d5d8dec334fc0919280769224cae0dc4179e63e5f75b40798ba991b9c5c86\
                           9c981d60f01becc61ace994219eb2d5fd09a9b4d6762bfc3bcd4e1593327c1469cb5264cc00d";
    let under_the_third = "0200000003000102030405060708090a0b0e4e92b16798197078319f32afe5423e4da17bc1ed31221f834e233dc047f0ac\
                           567b772445c9c36d13effb86f70c45fdc9f395f4edacc40b1c69eb59cffeee1a5a20896e8bd7cab04795";
    let (tenant, endpoint) = (TenantId::parse("acme").unwrap(), EndpointId::parse("ep_1").unwrap());
    let digit = |c: u8| (c as char).to_digit(16).unwrap();
    let bytes = |hex: &str| {
        let pairs = hex.as_bytes().chunks(2);
        pairs
            .map(|pair| u8::try_from(digit(pair[0]) << 4 | digit(pair[1])).unwrap())
            .collect()
    };
    for (version, key, hex) in [(1, [9; 32], under_the_first), (3, [8; 32], under_the_third)] {
        let sealed = SealedSecrets::from_bytes(bytes(hex));
        assert_eq!(sealed.key_version(), Some(version));
        let sealer = Sealer::of_version(version, &key, Random::seeded(1));
        let secret = Secret::from_random([1; 32]);
        assert_eq!(sealer.open(&tenant, &endpoint, &sealed), Ok(Credentials::new(secret)));
    }
}
