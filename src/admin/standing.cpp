#include "admin/standing.h"

#include "admin/json_fields.h"
#include "state/json_value.h"

namespace muster::admin {
namespace {

using nlohmann::json;

std::uint64_t last_term(const state::History& history) {
    return history.terms.empty() ? 0 : history.terms.back().number;
}

std::optional<std::vector<state::Term>> terms_from(const json& list) {
    std::vector<state::Term> terms;
    if (!list.is_array() || list.size() > 2 * state::kTermsKept) return std::nullopt;
    for (const json& one : list) {
        const bool sound = one.is_array() && one.size() == 2 && one[0].is_number_unsigned() &&
                           one[1].is_number_unsigned();
        if (!sound) return std::nullopt;
        terms.push_back({one[0].get<std::uint64_t>(), one[1].get<std::uint64_t>()});
    }
    return terms;
}

}  // namespace

json to_json(const NodeStanding& standing) {
    json terms = json::array();
    for (const state::Term& term : standing.history.terms) {
        terms.push_back({term.number, term.first});
    }
    return {{"name", standing.name},
            {"leads", standing.leads},
            {"writes", standing.writes},
            {"may_lead", standing.may_lead},
            {"why", standing.why},
            {"incarnation", standing.history.incarnation},
            {"revision", standing.history.head},
            {"mastership", state::mastership(last_term(standing.history))},
            {"terms", std::move(terms)}};
}

std::optional<NodeStanding> standing_from(const json& answer) {
    if (!answer.is_object() || !answer.contains("leads") || !answer.contains("terms")) {
        return std::nullopt;
    }
    const auto terms = terms_from(answer["terms"]);
    if (!terms || !answer.contains("revision") || !answer["revision"].is_number_unsigned()) {
        return std::nullopt;
    }
    return NodeStanding{.name = text(answer, "name"),
                        .leads = flag(answer, "leads"),
                        .writes = flag(answer, "writes"),
                        .may_lead = flag(answer, "may_lead"),
                        .why = text(answer, "why"),
                        .history = {.incarnation = text(answer, "incarnation"),
                                    .terms = *terms,
                                    .head = answer["revision"].get<Revision>()}};
}

json refusal_of(const state::History& history, bool revoked) {
    return {{"error",
             revoked ? "this node was revoked" : "this key belongs to no member of the cluster"},
            {"kind", name(ErrorKind::Refused)},
            {revoked ? "revoked" : "stranger", true},
            {"incarnation", history.incarnation},
            {"mastership", state::mastership(last_term(history))}};
}

bool puts_out(const json& refusal, const state::History& ours) {
    if (!flag(refusal, "revoked") && !flag(refusal, "stranger")) return false;
    const std::string incarnation = text(refusal, "incarnation");
    if (incarnation != ours.incarnation) return incarnation > ours.incarnation;
    return refusal.contains("mastership") && refusal["mastership"].is_number_unsigned() &&
           refusal["mastership"].get<std::uint64_t>() >= state::mastership(last_term(ours));
}

Rivalry judge(const state::History& ours, const state::History& theirs) {
    if (ours.incarnation != theirs.incarnation) {
        return theirs.incarnation > ours.incarnation ? Rivalry::Theirs : Rivalry::Ours;
    }
    const std::uint64_t mine = last_term(ours);
    const std::uint64_t other = last_term(theirs);
    if (state::mastership(mine) != state::mastership(other)) {
        return state::mastership(other) > state::mastership(mine) ? Rivalry::Theirs : Rivalry::Ours;
    }
    return other > mine ? Rivalry::Waits : Rivalry::OursEqual;
}

}  // namespace muster::admin
