//! Which user agents are crawlers: programs that visit pages without anyone looking at them.

/// Marks of well-known crawlers, in lower case: search engines, previews of links, archives, collectors for models, SEO tools and monitors.
const MARKS: &[&str] = &[
    "adsbot-google",
    "ahrefsbot",
    "amazonbot",
    "apis-google",
    "applebot",
    "archive.org_bot",
    "aws security scanner",
    "baiduspider",
    "better uptime",
    "bingbot",
    "bingpreview",
    "bytespider",
    "calypso appcrawler",
    "ccbot",
    "chatgpt-user",
    "chrome-lighthouse",
    "claudebot",
    "coccocbot",
    "discordbot",
    "dotbot",
    "duckduckbot",
    "embedly",
    "exabot",
    "facebookcatalog",
    "facebookexternalhit",
    "facebot",
    "feedfetcher-google",
    "google page speed",
    "google-extended",
    "google-inspectiontool",
    "google-read-aloud",
    "google-site-verification",
    "googlebot",
    "gptbot",
    "heritrix",
    "hubspot crawler",
    "ia_archiver",
    "linkedinbot",
    "lyticsbot",
    "mediapartners-google",
    "meta-externalagent",
    "mj12bot",
    "msnbot",
    "naverbot",
    "oai-searchbot",
    "perplexitybot",
    "petalbot",
    "pingdom",
    "pinterestbot",
    "redditbot",
    "rogerbot",
    "screaming frog",
    "semrushbot",
    "seznambot",
    "skypeuripreview",
    "sogou",
    "storebot-google",
    "telegrambot",
    "twitterbot",
    "uptimerobot",
    "yahoo! slurp",
    "yandexbot",
    "yandeximages",
    "yandexmobilebot",
    "yeti/",
];

/// Slack's own client, which people look at, against the robots that prepare its previews.
const SLACK: &str = "slackbot";
const SLACK_ALLOWED: &str = "slackbot 1.";

pub(crate) fn is_crawler(agent: &str) -> bool {
    let agent = agent.to_ascii_lowercase();
    if agent.contains(SLACK) {
        return !agent.contains(SLACK_ALLOWED);
    }
    MARKS.iter().any(|mark| agent.contains(mark)) || says_so(&agent)
}

/// What every crawler calls itself that is not well known.
const KINDS: &[&str] = &["bot", "bots", "crawler", "spider"];
/// Telephones, whose model is part of their user agent.
const TELEPHONES: &[&str] = &["cubot"];

/// What says what it is, as the name of a product (`ExampleBot/1.0`, `compatible; examplebot;`), or anywhere together with a place to
/// complain: `Example Bot 1 (+https://example.com)`.
fn says_so(agent: &str) -> bool {
    let is_product = |(at, _): (usize, &str)| {
        let word = agent[..at].rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        KINDS.iter().any(|kind| word.ends_with(kind)) && !TELEPHONES.contains(&word)
    };
    agent.match_indices(['/', ';', ')']).any(is_product)
        || (agent.contains("+http") && KINDS.iter().any(|kind| agent.contains(kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents() {
        for (agent, want) in [
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", true),
            (
                "Mozilla/5.0 (Linux; Android 6.0.1) Chrome/W.X.Y.Z Mobile Safari/537.36 (compatible; Googlebot/2.1)",
                true,
            ),
            ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", true),
            ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", true),
            ("Slackbot 1.0 (+https://api.slack.com/robots)", false),
            ("Slackbot 1.1(+https://api.slack.com/robots)", false),
            (
                "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
                true,
            ),
            ("SomethingNew-Crawler/0.1 (+https://example.com)", true),
            ("facebookexternalhit/1.1", true),
            ("Mozilla/5.0 (compatible; ExampleBot/1.0)", true),
            ("Mozilla/5.0 (compatible; examplebot)", true),
            ("example-spider/2", true),
            ("HubSpot Crawler", true),
            ("Mozilla/5.0 (Linux; Android 8.1; CUBOT) AppleWebKit/537.36 Chrome/120.0 Safari/537.36", false),
            ("robotics-dashboard/1.0", false),
            ("Both/1.0", false),
            ("é/é;é)", false),
            (
                "Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36",
                false,
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0", false),
            ("curl/8.5.0", false),
            ("", false),
        ] {
            assert_eq!(is_crawler(agent), want, "{agent}");
        }
        assert!(MARKS.is_sorted(), "a list that people add to is kept in order");
    }
}
