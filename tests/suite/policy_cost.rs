//! What a verdict costs, in steps and not in time.
//!
//! The component is compiled with every WebAssembly instruction counted, so the
//! result is the same on every machine and in every build. `cargo xtask bench`
//! prints times.
//!
//! Invariant under test: work grows no faster than the text. It does not say how
//! fast any machine is.

use std::collections::BTreeMap;

use openshell_host::contract::{Request, Rulebook, Subject, Verdict};
use openshell_tests::{EVERYDAY, hostile_texts, lines};
use wasmtime::component::{Component, Instance, Linker};
use wasmtime::{Config, Engine, Store};

static COUNTED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/counted.cwasm"));

const INTERFACE: &str = "openshell:host/policy@0.1.0";
/// Longest text that is judged at all, in bytes.
const LENGTH_CAP: usize = 64 * 1024;
/// More steps than any verdict may take.
const PLENTY: u64 = 1 << 40;

/// The component with its steps counted.
struct Counter {
    store: Store<()>,
    instance: Instance,
}

impl Counter {
    fn new() -> Self {
        let mut config = Config::new();
        config.wasm_component_model(true);
        config.epoch_interruption(true);
        config.consume_fuel(true);
        let engine = Engine::new(&config).expect("this engine runs what was compiled for it");
        #[expect(
            unsafe_code,
            reason = "the bytes were compiled by this crate's own build script and are part of this binary"
        )]
        // SAFETY: the build script wrote what `precompile_component` gave it.
        let component = unsafe { Component::deserialize(&engine, COUNTED) };
        let component = component.expect("the component was compiled for this engine");
        let mut linker = Linker::new(&engine);
        linker
            .define_unknown_imports_as_traps(&component)
            .expect("every import can be a trap");
        let mut store = Store::new(&engine, ());
        store.set_epoch_deadline(u64::MAX / 2);
        store.set_fuel(PLENTY).expect("fuel is counted");
        let instance = linker
            .instantiate(&mut store, &component)
            .expect("the component can be instantiated");
        Self { store, instance }
    }

    /// Steps that the verdict on a command takes.
    fn steps(&mut self, text: &str) -> u64 {
        self.judge(text).0
    }

    /// The same with the rule that the verdict names.
    fn judge(&mut self, text: &str) -> (u64, String) {
        let subject = Subject {
            request: Request::Command(text.to_owned()),
            server: "prod-a".to_owned(),
            tool: "remote_exec".to_owned(),
            labels: vec!["prod".to_owned()],
            cwd: None,
            home: None,
            resolved: None,
            sudo: None,
        };
        let rulebook = Rulebook {
            rules: Vec::new(),
            pipelines_each_stage: false,
            secret_paths: Vec::new(),
        };
        let store = &mut self.store;
        let interface = self.instance.get_export_index(&mut *store, None, INTERFACE);
        let index = interface.and_then(|interface| {
            self.instance
                .get_export_index(&mut *store, Some(&interface), "classify")
        });
        let index = index.expect("the component exports the policy");
        let classify = self
            .instance
            .get_typed_func::<(&Subject, &Rulebook), (Verdict,)>(&mut *store, index)
            .expect("the contract is the one that this was compiled with");
        store.set_fuel(PLENTY).expect("fuel is counted");
        let (verdict,) = classify
            .call(&mut *store, (&subject, &rulebook))
            .expect("every text gets a verdict");
        assert!(!verdict.rule.is_empty());
        let left = store.get_fuel().expect("fuel is counted");
        (PLENTY - left, verdict.rule)
    }
}

/// Twice the text takes at most two and a half times the steps, for every kind of
/// text that is hard on some part of the policy and every length up to the cap.
///
/// Where the longer text is judged by another rule, other code was at work: too many
/// words end the reading, and what was read is then looked at for catastrophes. So
/// that such a step is one and no flight of stairs, sixteen times the text takes at
/// most three times sixteen times the work.
#[test]
fn work_is_linear_in_the_length() {
    let mut counter = Counter::new();
    // The first verdict makes what later ones find ready.
    counter.steps("ls");
    let sizes: Vec<usize> = (0..8).map(|doubling| 512 << doubling).collect();
    assert_eq!(sizes.last(), Some(&LENGTH_CAP));
    let mut families: BTreeMap<&str, Vec<(usize, u64, String)>> = BTreeMap::new();
    for size in sizes {
        for (name, text) in hostile_texts(size) {
            let (steps, rule) = counter.judge(&text);
            let family = families.entry(name).or_default();
            family.push((text.len(), steps, rule));
        }
    }
    let mut worse = Vec::new();
    for (name, costs) in &families {
        let doubled = costs.windows(2).map(|pair| (&pair[0], &pair[1], 2.5));
        let doubled = doubled.filter(|(half, whole, _)| half.2 == whole.2);
        let many = costs.windows(5).map(|five| (&five[0], &five[4], 48.0));
        for (short, long, limit) in doubled.chain(many) {
            if long.1 as f64 > short.1 as f64 * limit {
                worse.push(format!(
                    "{name}: {} steps for {} bytes, {} for {}",
                    short.1, short.0, long.1, long.0
                ));
            }
        }
    }
    assert!(families.len() > 80, "{} families", families.len());
    assert!(worse.is_empty(), "{}", worse.join("\n"));
}

/// The longest texts stay within what takes less than 5 ms, by a measurement in which
/// 99 million steps took 6.2 ms. Copying and clearing memory counts by the byte, so a
/// step is no instruction.
#[test]
fn no_text_takes_more_than_its_share() {
    const MOST: u64 = 70_000_000;
    let mut counter = Counter::new();
    let mut steps: Vec<(u64, &str)> = hostile_texts(LENGTH_CAP)
        .iter()
        .map(|(name, text)| (counter.steps(text), *name))
        .collect();
    steps.sort_unstable();
    for (steps, name) in steps.iter().rev().take(10) {
        println!("{steps:>12} steps for {name}");
    }
    let (most, name) = steps.pop().expect("there are hostile texts");
    assert!(most <= MOST, "{name} takes {most} steps");
}

/// What people type takes few.
#[test]
fn everyday_commands_are_cheap() {
    const MOST: u64 = 3_000_000;
    let mut counter = Counter::new();
    counter.steps("ls");
    let mut steps: Vec<u64> = lines(EVERYDAY).map(|line| counter.steps(line)).collect();
    steps.sort_unstable();
    let (median, most) = (steps[steps.len() / 2], steps[steps.len() - 1]);
    println!("everyday commands: {median} steps in the middle, {most} at most");
    assert!(most <= MOST, "{most} steps");
}
