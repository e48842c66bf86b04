//! What is told of costs: the table of docs/COST.md is what the command prints, prices say where they are from, and the
//! bounds of the design hold.

use std::path::Path;

use redial_local::cost::prices::Prices;
use redial_local::cost::table::{MILLION, Reckoner};

/// The most that the requests for a million events may cost, in dollars, by scenario: docs/COST.md, "The bounds".
const BOUNDS: [(&str, f64); 4] = [
    ("one by one", 2.30),
    ("one by one, the platform's own ids", 2.95),
    ("in batches of 10", 1.75),
    ("in batches of 10, the platform's own ids", 2.40),
];
/// Where the prices in force are, or were when they were last looked up.
const AWS: &str = "https://aws.amazon.com/";

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(root.join(path)).unwrap()
}

#[test]
fn the_table_of_the_page_is_what_the_command_prints() {
    let table = Reckoner::built_in().unwrap().table();
    assert!(
        read("docs/COST.md").contains(&table),
        "docs/COST.md has another table than `redial cost --table`:\n{table}"
    );
}

#[test]
fn the_bounds_of_the_design_hold() {
    let reckoner = Reckoner::built_in().unwrap();
    for (name, most) in BOUNDS {
        let scenario = reckoner.counts.scenarios.iter().find(|scenario| scenario.name == name);
        let workload = scenario.unwrap_or_else(|| panic!("no scenario {name}")).workload;
        let usd = reckoner.cost(&workload, MILLION).requests_usd;
        assert!(usd <= most, "{name}: ${usd:.2}, more than ${most:.2}");
    }
}

#[test]
fn every_price_says_where_it_is_from_and_is_on_the_page() {
    let prices = Prices::built_in().unwrap();
    let page = read("docs/COST.md");
    for (name, price) in &prices.prices {
        assert!(price.source.starts_with(AWS), "{name}");
        assert!(price.usd > 0.0 && price.per >= 1.0, "{name}");
        assert!(
            page.contains(&price.source),
            "docs/COST.md does not name {}",
            price.source
        );
    }
    assert!(page.contains(&prices.read_at) && page.contains(&prices.region));
}

#[test]
fn the_memory_that_is_reckoned_with_is_that_of_the_template() {
    let template = read("template.yaml");
    let sizes: Vec<&str> = template
        .lines()
        .filter_map(|line| line.trim().strip_prefix("MemorySize: "))
        .collect();
    assert_eq!(sizes, [Prices::built_in().unwrap().assumed.memory_mb.to_string()]);
}
