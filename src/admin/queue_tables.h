#pragma once
// What the verbs of the queue print for people, made from the API's answers.

#include <nlohmann/json.hpp>

#include <string>

namespace muster::admin {

/// Rows of a listing, and the queues that were looked at.
void print_messages(const nlohmann::json& rows);
void print_queues(const nlohmann::json& queues);
/// One message and its recipients.
void print_message(const nlohmann::json& message);
void print_destinations(nlohmann::json answer);
/// How far the take-over of a queue is, or how it ended.
std::string adoption_text(const nlohmann::json& report);

/// Names of the nodes that an answer leaves out; empty when it is whole.
std::string unreachable_nodes(const nlohmann::json& answer);
/// Says them on standard error.
void warn_of_unreachable(const nlohmann::json& answer);

}  // namespace muster::admin
