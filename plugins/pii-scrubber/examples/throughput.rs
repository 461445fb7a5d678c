//! How much text of leaves a second the component goes through, on one core, with the default rules and as `tamis run` calls it.
//!
//! ```console
//! $ tamis plugin build plugins/pii-scrubber --out target/plugins
//! $ cargo run --release -p pii-scrubber --example throughput -- target/plugins/pii-scrubber.wasm
//! ```
#![expect(clippy::print_stdout, reason = "a measurement talks to whoever runs it")]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use host_event::Columns;
use host_pipeline::{Stage, StageKind};
use host_plugin::{Compile, Limits, Runtime, RuntimeConfig, StageFactory, StageSpec};
use pii_scrubber::PiiScrubber;
use tamis_plugin::testing;

const BATCH: usize = 64;
const CALLS: u32 = 40;
const ROUNDS: usize = 9;

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("name the component: target/plugins/pii-scrubber.wasm")?;
    let component: Arc<[u8]> = std::fs::read(path)?.into();
    let cache = tempfile::tempdir()?;
    let runtime = Runtime::new(RuntimeConfig {
        cache_dir: cache.path().to_owned(),
        compile: Compile::InProcess,
        clock: Arc::new(Instant::now),
        perf_map: std::env::var_os("PERF_MAP").is_some(),
    })?;
    let spec = StageSpec {
        name: "pii-scrubber".into(),
        kind: StageKind::Scrubber,
        component,
        version: "measured".into(),
        generation: 1,
        config_json: "{}".into(),
        reads: "**".into(),
        writes: "**".into(),
        limits: Limits::default(),
    };
    let mut stage = StageFactory::load(spec, &runtime)?.instantiate()?;
    let mut native = testing::init("{}", <PiiScrubber as tamis_plugin::Scrubber>::init)?;
    for (name, event) in
        [("an error as the SDKs send them", error as fn(usize) -> String), ("long texts", dump)]
    {
        let events: Vec<String> = (0..BATCH).map(event).collect();
        let inputs: Vec<&str> = events.iter().map(String::as_str).collect();
        let mut columns = testing::columns(&inputs);
        let selectors = tamis_plugin::Scrubber::selectors(&native);
        // What the rules are not asked about is no work, and does not count.
        let mut text = 0;
        let mut leaves = 0;
        for selector in &selectors {
            let list = columns.leaves(selector)?;
            (text, leaves) = (text + list.data.len(), leaves + list.ids.len());
        }
        let walks = median(|| {
            columns.changed();
            for selector in &selectors {
                columns.leaves(selector).map(|leaves| leaves.data.len()).ok();
            }
        });
        let component = median(|| {
            columns.changed();
            let answer = stage.run(&mut columns);
            assert!(answer.faults.is_empty(), "{:?}", answer.faults);
        });
        let mut lent = Some(std::mem::take(&mut columns));
        let of_native = median(|| {
            let mut columns: Columns = lent.take().expect("it is given back below");
            columns.changed();
            lent = Some(testing::run_scrubber(&mut native, columns).1);
        });
        let rate = |seconds: f64| text as f64 / seconds / 1e6;
        println!(
            "{name}: {} bytes in {} leaves an event; component {:.0} MB/s beyond the host's extraction and {:.0} MB/s with it; native {:.0} and {:.0} MB/s",
            text / BATCH,
            leaves / BATCH,
            rate(component - walks),
            rate(component),
            rate(of_native - walks),
            rate(of_native)
        );
    }
    Ok(())
}

/// Seconds of one call, the median of all rounds.
fn median(mut call: impl FnMut()) -> f64 {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            (0..CALLS).for_each(|_| call());
            begun.elapsed().as_secs_f64() / f64::from(CALLS)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[ROUNDS / 2]
}

/// 25 frames with source and variables, 40 breadcrumbs, a request.
fn error(i: usize) -> String {
    let frame = |n: usize| {
        let line = format!("    result = self.load_order(request, order_id={n}, retries=3)");
        format!(
            r#"{{"filename":"shop/views/orders.py","abs_path":"/srv/app/shop/views/orders.py","function":"handle_{n}","module":"shop.views.orders",
            "lineno":{n},"in_app":true,"pre_context":["{line}","","    # loads the order and all of its lines","    try:","{line}"],
            "context_line":"{line}","post_context":["    except OrderNotFound as error:","        raise Http404 from error","","{line}",""],
            "vars":{{"self":"<shop.views.orders.OrderView object at 0x7f3bc41d2a90>","request":"<WSGIRequest: GET '/orders/{n}/lines?page=2'>",
            "order_id":"{n}","lines":["<OrderLine: blue shirt, size M>","<OrderLine: socks>"],"options":{{"retries":"3","timeout":"None","region":"'eu-west-1'"}}}}}}"#
        )
    };
    let crumb = |n: usize| {
        format!(
            r#"{{"timestamp":"2026-11-24T12:34:{:02}.123Z","type":"http","category":"httplib","level":"info",
            "message":"SELECT \"orders\".\"id\", \"orders\".\"state\" FROM \"orders\" WHERE \"orders\".\"customer\" = {n} ORDER BY \"orders\".\"created\" DESC LIMIT 21",
            "data":{{"url":"https://inventory.internal.example.com/api/v2/stock/{n}?warehouse=east","method":"GET","status_code":200,"reason":"OK"}}}}"#,
            n % 60
        )
    };
    let list = |all: Vec<String>| all.join(",");
    format!(
        r#"{{"event_id":"{i:032x}","platform":"python","level":"error","release":"shop@4.2.{i}","environment":"production",
        "exception":{{"values":[{{"type":"OrderNotFound","value":"order {i} of customer 77 is not there","stacktrace":{{"frames":[{}]}}}}]}},
        "breadcrumbs":{{"values":[{}]}},"user":{{"id":"{i}","email":"jane@example.com"}},"tags":{{"region":"eu-west-1","tier":"gold"}},
        "request":{{"url":"https://shop.example.com/orders/{i}","method":"GET","query_string":"page=2&sort=created","headers":{{"Accept":"text/html,application/xhtml+xml;q=0.9","Host":"shop.example.com","User-Agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/141.0 Safari/537.36"}}}}}}"#,
        list((1..=25).map(frame).collect()),
        list((1..=40).map(crumb).collect())
    )
}

/// What somebody prints into a few long strings.
fn dump(i: usize) -> String {
    let line = format!(
        "worker {i} took the batch of the shop in the east and put 17 of its orders back, since the stock there was too low; "
    );
    let text = line.repeat(40);
    format!(r#"{{"extra":{{"log":"{text}","state":"{text}","report":"{text}"}}}}"#)
}
