// SPDX-License-Identifier: BSD-3-Clause
// The functions of arith.hpp on records from standard input: `arith NAME u8|s8` reads 64-bit integers, as many for each
// record as the function has arguments, and writes one for each result.
#include "complsparse/arith.hpp"

#include <stdio.h>
#include <string.h>

namespace arith = complsparse::arith;

// What a record becomes, for numbers of type T where they are 8-bit activations or outputs.
template <class T>
struct Functions {
    typedef const int64_t* Record;
    typedef int64_t (*Function)(Record);
    struct Entry {
        const char* name;
        int arguments;
        Function function;
    };

    static T narrow(int64_t value) { return static_cast<T>(value); }
    static arith::Range<T> range(Record a) { return {narrow(a[0]), narrow(a[1])}; }

    static int64_t multiply(Record a) { return arith::multiply<int16_t>(static_cast<int8_t>(a[0]), narrow(a[1])); }
    static int64_t multiply_accumulate(Record a) {
        return arith::multiply_accumulate(static_cast<int32_t>(a[0]), static_cast<int8_t>(a[1]), narrow(a[2]));
    }
    static int64_t folded_bias(Record a) { return arith::folded_bias(a[0], a[1], a[2]); }
    static int64_t shift_half_even(Record a) { return arith::shift_half_even(a[0], static_cast<int>(a[1])); }
    static int64_t requantize(Record a) {
        const arith::Factor factor = {static_cast<int32_t>(a[1]), static_cast<int32_t>(a[2])};
        return arith::requantize(static_cast<int32_t>(a[0]), factor, static_cast<int32_t>(a[3]), range(a + 4));
    }
    static int64_t clamp(Record a) { return arith::clamp(narrow(a[2]), range(a)); }
    static int64_t relu(Record a) { return arith::relu(narrow(a[0]), narrow(a[1])); }
    static int64_t relu6(Record a) { return arith::relu6(narrow(a[0]), narrow(a[1]), narrow(a[2])); }
    static int64_t clamp_relu(Record a) { return arith::clamp(narrow(a[2]), arith::relu(range(a), narrow(a[3]))); }
    static int64_t clamp_relu6(Record a) {
        return arith::clamp(narrow(a[2]), arith::relu6(range(a), narrow(a[3]), narrow(a[4])));
    }
    static int64_t beats(Record a) {
        return arith::beats(narrow(a[0]), static_cast<uint16_t>(a[1]), narrow(a[2]), static_cast<uint16_t>(a[3]));
    }
    static int64_t contest_key(Record a) {
        return arith::contest_key<int32_t, 16>(narrow(a[0]), static_cast<uint16_t>(a[1]));
    }
    static int64_t maximum(Record a) { return arith::maximum(narrow(a[0]), narrow(a[1])); }
    static int64_t minimum(Record a) { return arith::minimum(narrow(a[0]), narrow(a[1])); }

    static const Entry* find(const char* name) {
        static const Entry entries[] = {
            {"multiply", 2, multiply},
            {"multiply_accumulate", 3, multiply_accumulate},
            {"folded_bias", 3, folded_bias},
            {"shift_half_even", 2, shift_half_even},
            {"requantize", 6, requantize},
            {"clamp", 3, clamp},
            {"relu", 2, relu},
            {"relu6", 3, relu6},
            {"clamp_relu", 4, clamp_relu},
            {"clamp_relu6", 5, clamp_relu6},
            {"beats", 4, beats},
            {"contest_key", 2, contest_key},
            {"maximum", 2, maximum},
            {"minimum", 2, minimum},
        };
        for (const Entry& entry : entries)
            if (strcmp(entry.name, name) == 0) return &entry;
        return nullptr;
    }

    static int run(const char* name) {
        const Entry* entry = find(name);
        if (entry == nullptr) return 2;
        int64_t record[6];
        const size_t arguments = static_cast<size_t>(entry->arguments);
        while (fread(record, sizeof *record, arguments, stdin) == arguments) {
            const int64_t result = entry->function(record);
            fwrite(&result, sizeof result, 1, stdout);
        }
        return 0;
    }
};

// All of it can be evaluated when the program is compiled.
static_assert(arith::requantize(int32_t(5), arith::Factor{1, 1}, 0, arith::Range<int8_t>{-128, 127}) == 2, "");
static_assert(arith::beats(int8_t(3), 1, int8_t(3), 2) && !arith::beats(int8_t(3), 2, int8_t(3), 1), "");

int main(int count, char** words) {
    if (count != 3) return 2;
    return strcmp(words[2], "u8") == 0 ? Functions<uint8_t>::run(words[1]) : Functions<int8_t>::run(words[1]);
}
