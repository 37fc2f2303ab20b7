#pragma once
// What passes between the phases of a session.

#include <cstdint>
#include <string>

#include "wire/sasl.h"

namespace muster::frontend {

/// What identify() learnt: who the client says it is, and its first SASL message.
struct Login {
    std::string tag;  ///< IMAP: what the final answer is tagged with
    wire::sasl::Mechanism mechanism = wire::sasl::Mechanism::Plain;
    std::string name;     ///< as the client wrote it
    std::string message;  ///< decoded; LOGIN and USER/PASS have become PLAIN
};

/// One step of a SASL exchange as a server answered it.
struct SaslStep {
    enum class Kind : std::uint8_t {
        Challenge,  ///< `text` is base64 for the client
        Accepted,   ///< `text` is what the protocol's success line says
        Denied,     ///< credentials refused; `text` is a response code worth telling, or empty
    };
    Kind kind;
    std::string text;
};

}  // namespace muster::frontend
