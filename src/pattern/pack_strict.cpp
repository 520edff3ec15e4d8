// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstddef>
#include <numeric>

#include "base/sizes.hpp"
#include "pattern/column_numbers.hpp"
#include "pattern/pack.hpp"

namespace cs {

namespace {

// First-fit placement of members. For each column it keeps the sets that own it as a list and, once that costs no more
// memory than the list, as bits too: first fit is then an OR of words. Memory stays O(nnz).
template <class Index>
class StrictPacker {
   public:
    StrictPacker(const Pattern<Index>& pattern, int block_rows, Interrupt interrupt)
        : pattern_(pattern),
          interrupt_(interrupt),
          block_rows_(block_rows),
          n_members_((pattern.rows + block_rows - 1) / block_rows),
          number_(pattern.columns, pattern.nnz(), pattern.cols),
          set_of_(as_size(n_members_), none),
          columns_(as_size(number_.count())),
          budget_(32 * pattern.nnz() + (1 << 20)) {}

    enum class Outcome { packed, nearly, hopeless, interrupted };

    // Into at most max_sets sets of members (0: any number). `nearly`: a few members found no place.
    Outcome run(std::int64_t max_sets) {
        std::vector<std::int64_t> order(as_size(n_members_));
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return size(a) > size(b); });
        std::vector<std::int64_t> homeless;
        const std::int64_t patience = n_members_ / 16 + 4;  // more than this is beyond repair
        for (const std::int64_t member : order) {
            if (is_to_end()) return Outcome::interrupted;
            const std::int64_t set = first_fit(member);
            if (max_sets > 0 && set >= max_sets) {
                homeless.push_back(member);
                if (static_cast<std::int64_t>(homeless.size()) > patience) return Outcome::hopeless;
            } else {
                place(member, set);
            }
        }
        for (const std::int64_t member : homeless) {
            if (is_to_end()) return Outcome::interrupted;
            if (!place_by_ejection(member)) return Outcome::nearly;
        }
        return repair() ? Outcome::packed : Outcome::interrupted;
    }

    std::int64_t n_sets() const { return n_sets_; }

    void list(Sets& sets) const {
        std::vector<std::vector<std::int64_t>> members(as_size(n_sets_));
        for (std::int64_t member = 0; member < n_members_; ++member)
            members[as_size(set_of_[as_size(member)])].push_back(member);
        sets.set_ptr.assign(1, 0);
        sets.row_order.clear();
        for (const auto& of_set : members)
            for (int i = 0; i < block_rows_; ++i) {
                for (const std::int64_t member : of_set)
                    if (member * block_rows_ + i < pattern_.rows) sets.row_order.push_back(member * block_rows_ + i);
                if (static_cast<std::int64_t>(sets.row_order.size()) > sets.set_ptr.back())
                    sets.set_ptr.push_back(static_cast<std::int64_t>(sets.row_order.size()));
            }
    }

   private:
    static constexpr std::int64_t none = -1;
    struct Owner {
        std::int64_t set, member;
    };
    struct Column {
        std::vector<Owner> owners;
        std::vector<std::uint64_t> bits;  // of the owning sets; empty while the list is shorter
    };

    // Asks once enough work has been done since it asked last. The lists of a column lie anywhere in memory, so going
    // to them counts as many steps over what lies side by side.
    static constexpr std::int64_t steps_to_a_column = 64;
    bool is_to_end() {
        constexpr std::int64_t between = std::int64_t{1} << 24;  // steps
        if (steps_ < between || interrupt_.wanted == nullptr) return false;
        steps_ = 0;
        return interrupt_.wanted(interrupt_.context);
    }

    const Index* begin(std::int64_t member) const { return pattern_.columns + pattern_.row_ptr[member * block_rows_]; }
    const Index* end(std::int64_t member) const {
        return pattern_.columns + pattern_.row_ptr[member * block_rows_ + 1];
    }
    std::int64_t size(std::int64_t member) const { return end(member) - begin(member); }

    static void set_bit(std::vector<std::uint64_t>& words, std::int64_t bit) {
        const std::size_t word = as_size(bit / 64);
        if (word >= words.size()) words.resize(word + 1, 0);
        words[word] |= std::uint64_t{1} << (bit % 64);
    }

    // The first set that owns none of the member's columns; n_sets_ where every set does.
    std::int64_t first_fit(std::int64_t member, std::int64_t except = none) {
        taken_.assign(as_size(n_sets_ / 64 + 1), 0);
        if (except != none) set_bit(taken_, except);
        if (closed_ != none) set_bit(taken_, closed_);
        for (const Index* column = begin(member); column != end(member); ++column) {
            const Column& owned = columns_[number_(*column)];
            const std::size_t n_words = std::min(owned.bits.size(), taken_.size());
            steps_ += steps_to_a_column + static_cast<std::int64_t>(n_words);
            for (std::size_t word = 0; word < n_words; ++word) taken_[word] |= owned.bits[word];
            if (owned.bits.empty())
                for (const Owner& owner : owned.owners) set_bit(taken_, owner.set);
        }
        for (std::size_t word = 0; word < taken_.size(); ++word)
            if (~taken_[word] != 0)
                return std::min(n_sets_, static_cast<std::int64_t>(word) * 64 + __builtin_ctzll(~taken_[word]));
        return n_sets_;
    }

    void place(std::int64_t member, std::int64_t set) {
        if (set == n_sets_) {
            ++n_sets_;
            stamp_.push_back(0);
            rival_.push_back(none);
        }
        set_of_[as_size(member)] = set;
        steps_ += steps_to_a_column * size(member);
        for (const Index* column = begin(member); column != end(member); ++column) {
            Column& owned = columns_[number_(*column)];
            owned.owners.push_back({set, member});
            if (!owned.bits.empty()) {
                set_bit(owned.bits, set);
            } else if (n_sets_ / 64 < 2 * static_cast<std::int64_t>(owned.owners.size())) {
                for (const Owner& owner : owned.owners) set_bit(owned.bits, owner.set);
            }
        }
    }

    void spend(std::int64_t steps) {
        budget_ -= steps;
        steps_ += steps;
    }

    void remove(std::int64_t member) {
        const std::int64_t set = set_of_[as_size(member)];
        for (const Index* column = begin(member); column != end(member); ++column) {
            Column& owned = columns_[number_(*column)];
            auto& owners = owned.owners;
            spend(static_cast<std::int64_t>(owners.size()));
            *std::find_if(owners.begin(), owners.end(), [&](const Owner& o) { return o.member == member; }) =
                owners.back();
            owners.pop_back();
            if (!owned.bits.empty()) owned.bits[as_size(set / 64)] &= ~(std::uint64_t{1} << (set % 64));
        }
        set_of_[as_size(member)] = none;
    }

    // Puts the member into a set where just one other member is in the way and that one fits elsewhere.
    bool place_by_ejection(std::int64_t member) {
        std::vector<std::int64_t> one_rival;
        ++now_;
        constexpr std::int64_t several = -2;
        for (const Index* column = begin(member); column != end(member); ++column) {
            const auto& owners = columns_[number_(*column)].owners;
            spend(static_cast<std::int64_t>(owners.size()));
            for (const Owner& owner : owners) {
                std::int64_t& stamp = stamp_[as_size(owner.set)];
                std::int64_t& rival = rival_[as_size(owner.set)];
                if (stamp != now_) {
                    stamp = now_;
                    rival = owner.member;
                } else if (rival != owner.member) {
                    rival = several;
                }
            }
        }
        for (std::int64_t set = 0; set < n_sets_; ++set) {
            if (set == closed_) continue;
            if (stamp_[as_size(set)] != now_) {
                place(member, set);
                return true;
            }
            if (rival_[as_size(set)] >= 0) one_rival.push_back(set);
        }
        for (const std::int64_t set : one_rival) {
            const std::int64_t rival = rival_[as_size(set)];
            const std::int64_t other = first_fit(rival, set);
            if (other == n_sets_) continue;
            remove(rival);
            place(rival, other);
            place(member, set);
            return true;
        }
        return false;
    }

    // Tries to empty the smallest sets, one after the other, until one resists or the budget is spent. Whether it came
    // to its end.
    bool repair() {
        std::vector<std::int64_t> n_of(as_size(n_sets_), 0);
        for (;;) {
            if (n_sets_ < 2 || budget_ < 0) break;
            if (is_to_end()) return false;
            spend(n_members_);
            n_of.assign(as_size(n_sets_), 0);
            for (const std::int64_t set : set_of_) ++n_of[as_size(set)];
            closed_ = std::min_element(n_of.begin(), n_of.end()) - n_of.begin();
            if (n_of[as_size(closed_)] > 8) break;
            std::vector<std::int64_t> members;
            for (std::int64_t member = 0; member < n_members_; ++member)
                if (set_of_[as_size(member)] == closed_) members.push_back(member);
            bool emptied = true;
            for (const std::int64_t member : members) {
                remove(member);
                if (place_by_ejection(member)) continue;
                place(member, closed_);
                emptied = false;
                break;
            }
            if (!emptied) break;
            drop_closed();
        }
        closed_ = none;
        return true;
    }

    // The last set takes the number of the emptied one.
    void drop_closed() {
        const std::int64_t last = n_sets_ - 1;
        if (closed_ != last)
            for (std::int64_t member = 0; member < n_members_; ++member)
                if (set_of_[as_size(member)] == last) {
                    remove(member);
                    place(member, closed_);
                }
        stamp_.pop_back();
        rival_.pop_back();
        --n_sets_;
        closed_ = none;
    }

    const Pattern<Index>& pattern_;
    const Interrupt interrupt_;
    const int block_rows_;
    const std::int64_t n_members_;
    const ColumnNumbers<Index> number_;
    std::vector<std::int64_t> set_of_;  // of a member
    std::vector<Column> columns_;
    std::vector<std::int64_t> stamp_, rival_;  // of a set, valid where stamp_ == now_
    std::vector<std::uint64_t> taken_;         // scratch of first_fit
    std::int64_t budget_;                      // steps left for repair
    std::int64_t steps_ = 0;                   // since the interrupt was asked last
    std::int64_t n_sets_ = 0, now_ = 0, closed_ = none;
};

}  // namespace

template <class Index>
Packed pack_strict(const Pattern<Index>& pattern, int block_rows, std::int64_t max_sets, Interrupt interrupt,
                   Sets& sets) {
    const std::int64_t max_member_sets = max_sets / block_rows;
    if (max_sets > 0 && max_member_sets == 0) return pattern.rows == 0 ? Packed::yes : Packed::no;
    using Packer = StrictPacker<Index>;
    using Outcome = typename Packer::Outcome;
    Packer limited(pattern, block_rows, interrupt);
    const Outcome outcome = limited.run(max_member_sets);
    if (outcome == Outcome::interrupted) return Packed::interrupted;
    if (outcome == Outcome::packed) limited.list(sets);
    if (outcome != Outcome::nearly) return outcome == Outcome::packed ? Packed::yes : Packed::no;
    // Sets beyond the limit give the repair more room, and it may empty them again.
    Packer unlimited(pattern, block_rows, interrupt);
    if (unlimited.run(0) == Outcome::interrupted) return Packed::interrupted;
    if (unlimited.n_sets() > max_member_sets) return Packed::no;
    unlimited.list(sets);
    return Packed::yes;
}

template Packed pack_strict(const Pattern<std::int32_t>&, int, std::int64_t, Interrupt, Sets&);
template Packed pack_strict(const Pattern<std::int64_t>&, int, std::int64_t, Interrupt, Sets&);

}  // namespace cs
