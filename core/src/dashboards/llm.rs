//! LLM cost and tokens: what is spent, on which model, and whether the providers answer.

use super::levels::Levels;
use super::panel::{Board, Kind, Panel, Row, Unit};
use super::query::telemetry;
use super::variables::Variable;

const MODEL: &str = "{{provider}} {{model}}";

pub(super) fn board() -> Board {
    Board {
        uid: "fleetscope-llm",
        title: "LLM cost and tokens",
        description: "Calls of LLM providers: cost, tokens, requests, limits, durations. All of it comes from the telemetry that agents send.",
        variables: &[Variable::DataSource, Variable::Namespace, Variable::Profile, Variable::Fleet, Variable::Model],
        rows: vec![
            Row::new("Cost", cost()),
            Row::new("Requests", requests()),
            Row::new("Tokens", tokens()),
            Row::new("Durations and context", durations()),
        ],
    }
}

fn cost() -> Vec<Panel> {
    vec![
        Panel::new(Kind::Gauge, "Total LLM cost, last 24 hours", Unit::Money, [
            "Cost of the last 24 hours in the fleet that spends most, by currency.",
            "Far below the budget of a day.",
            "In the red: the budget of a day is spent.",
        ])
        .covers(&["O44"])
        .levels(Levels::Above("FleetLlmCostOverBudget"))
        .query(telemetry(
            r#"max by (currency) (sum by (namespace, fleet, currency) (fleet:llm_cost:increase1d{$fleets,model=~"$model"}))"#,
            "{{currency}}",
        )),
        Panel::new(Kind::Stat, "Total LLM cost, chosen time", Unit::Money, [
            "Cost of all chosen fleets in the chosen time, by currency.",
            "As you expect it.",
            "Growing faster than the work.",
        ])
        .covers(&["O44"])
        .query(telemetry(
            r#"sum by (currency) (increase(fleetscope_llm_cost_total{$fleets,model=~"$model"}[$__range]))"#,
            "{{currency}}",
        )),
        Panel::new(Kind::Stat, "Cost per hour", Unit::Money, [
            "What an hour costs at the rate of the last five minutes, by currency.",
            "Steady.",
            "A jump: an agent that runs away.",
        ])
        .covers(&["O57", "O44"])
        .query(telemetry(r#"sum by (currency) (fleet:llm_cost:rate5m{$fleets,model=~"$model"}) * 3600"#, "{{currency}}")),
        Panel::new(Kind::BarGauge, "Most expensive models", Unit::Money, [
            "The three models that cost most in the last 24 hours.",
            "Those that you chose for the hard work.",
            "A large model where a small one would do.",
        ])
        .covers(&["O59"])
        .size(12, 5)
        .query(telemetry(
            r#"topk(3, sum by (provider, model, currency) (fleet:llm_cost:increase1d{$fleets,model=~"$model"}))"#,
            "{{provider}} {{model}} {{currency}}",
        )),
        Panel::new(Kind::TimeSeries, "Cost of the last hour by fleet", Unit::Money, [
            "Cost in the hour before each moment.",
            "Even.",
            "One fleet that leaves the others behind.",
        ])
        .covers(&["O44", "S43"])
        .size(24, 8)
        .query(telemetry(
            r#"sum by (namespace, fleet, currency) (fleet:llm_cost:increase1h{$fleets,model=~"$model"})"#,
            "{{namespace}}/{{fleet}} {{currency}}",
        )),
    ]
}

fn requests() -> Vec<Panel> {
    vec![
        Panel::new(Kind::TimeSeries, "LLM requests by model", Unit::PerSecond, [
            "Requests per second by model and result.",
            "Success alone.",
            "auth: a key that does not work. rate_limited: too many at once. server_error: the provider has trouble.",
        ])
        .covers(&["O45"])
        .query(telemetry(
            r#"sum by (provider, model, result) (fleet:llm_requests:rate5m{$fleets,model=~"$model"})"#,
            "{{provider}} {{model}} {{result}}",
        )),
        Panel::new(Kind::TimeSeries, "Share of LLM requests that fail", Unit::Ratio, [
            "Requests without success of all of a model.",
            "Near 0.",
            "Above the threshold of the alert for errors of the provider.",
        ])
        .levels(Levels::Above("FleetLlmServerErrors"))
        .query(telemetry(r#"fleet:llm_error:ratio_rate5m{$fleets,model=~"$model"}"#, "{{namespace}}/{{fleet}} {{model}}")),
        Panel::new(Kind::TimeSeries, "Share of LLM requests over a rate limit", Unit::Ratio, [
            "Answers by which a provider asks for less, of all requests to a model.",
            "0.",
            "Above the threshold for minutes: agents wait, and may retry in step.",
        ])
        .covers(&["O45"])
        .levels(Levels::Above("FleetLlmRateLimited"))
        .query(telemetry(
            r#"fleet:llm_rate_limited:rate5m{$fleets,model=~"$model"} / on (namespace, fleet, provider, model) (sum by (namespace, fleet, provider, model) (fleet:llm_requests:rate5m{$fleets,model=~"$model"}) > 0)"#,
            "{{namespace}}/{{fleet}} {{model}}",
        )),
    ]
}

fn tokens() -> Vec<Panel> {
    vec![
        Panel::new(
            Kind::Stat,
            "Total tokens used",
            Unit::Count,
            [
                "Tokens in the chosen time, by category.",
                "Mostly cache_read and input.",
                "output or reasoning far above their usual share.",
            ],
        )
        .covers(&["G53"])
        .size(6, 8)
        .query(telemetry(
            r#"sum by (category) (increase(fleetscope_llm_tokens_total{$fleets,model=~"$model"}[$__range]))"#,
            "{{category}}",
        )),
        Panel::new(
            Kind::Stacked,
            "Tokens per second",
            Unit::PerSecond,
            [
                "Tokens by category.",
                "Follows the work.",
                "Grows while the work does not: contexts that are sent again and again.",
            ],
        )
        .size(6, 8)
        .query(telemetry(r#"sum by (category) (fleet:llm_tokens:rate5m{$fleets,model=~"$model"})"#, "{{category}}")),
        Panel::new(
            Kind::TimeSeries,
            "Tokens per request",
            Unit::Count,
            ["Mean tokens of a successful request, by model.", "At its usual height.", "Rising: contexts grow."],
        )
        .covers(&["O58"])
        .size(6, 8)
        .query(telemetry(
            r#"avg by (provider, model) (fleet:llm_tokens_per_request:mean5m{$fleets,model=~"$model"})"#,
            MODEL,
        )),
        Panel::new(
            Kind::TimeSeries,
            "Tokens without a price in the last hour",
            Unit::Count,
            [
                "Tokens of models that no price list knows: their cost is missing in all sums.",
                "0.",
                "Any: add the model to a ModelPriceList.",
            ],
        )
        .size(6, 8)
        .levels(Levels::CountAbove("FleetLlmUnpriced"))
        .query(telemetry(
            r#"sum by (provider, model) (increase(fleetscope_llm_unpriced_tokens_total{$fleets,model=~"$model"}[1h]))"#,
            MODEL,
        )),
    ]
}

fn durations() -> Vec<Panel> {
    vec![
        Panel::new(Kind::TimeSeries, "Duration of LLM operations, p95 and p99", Unit::Seconds, [
            "Durations by model.",
            "At their usual height.",
            "Rises on one model: its provider is slow. On all: the requests grow.",
        ])
        .levels(Levels::Above("FleetLlmSlow"))
        .query(telemetry(r#"fleet:llm_duration_seconds:p95_5m{$fleets,model=~"$model"}"#, "{{fleet}} {{model}} p95"))
        .query(telemetry(r#"fleet:llm_duration_seconds:p99_5m{$fleets,model=~"$model"}"#, "{{fleet}} {{model}} p99")),
        Panel::new(Kind::Heatmap, "All durations of LLM operations", Unit::Seconds, [
            "Operations by duration; the points are exemplars, which lead to traces where there are some.",
            "One band per kind of request.",
            "A band at a round number: a time limit.",
        ])
        .size(8, 8)
        .query(
            telemetry(
                r#"sum by (le) (increase(gen_ai_client_operation_duration_seconds_bucket{$fleets,gen_ai_request_model=~"$model"}[$__rate_interval]))"#,
                "{{le}}",
            )
            .exemplar(),
        ),
        Panel::new(Kind::TimeSeries, "Context window utilization", Unit::Ratio, [
            "How full context windows are, on average and at most, by type of agent.",
            "Below 70 %.",
            "Near 100 %: the agent forgets, or its requests are refused.",
        ])
        .covers(&["G54"])
        .levels(Levels::Above("FleetContextWindowNearlyFull"))
        .query(telemetry(
            r#"avg by (agent_type) (fleet:context_window_utilization:avg{$fleets,model=~"$model"})"#,
            "{{agent_type}} average",
        ))
        .query(telemetry(
            r#"max by (agent_type) (fleet:context_window_utilization:max{$fleets,model=~"$model"})"#,
            "{{agent_type}} highest",
        )),
    ]
}
