// SPDX-License-Identifier: BSD-3-Clause
#include "core/pack.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <type_traits>

namespace cs {
namespace {

template <class Integer>
std::size_t as_size(Integer i) {
    return static_cast<std::size_t>(i);
}

// Numbers the columns that occur 0, 1, ...: an array where cols is moderate, else a sorted list, so that a shape such
// as (5, 2^40) costs O(nnz log nnz) and not O(cols).
template <class Index>
class ColumnNumbers {
   public:
    ColumnNumbers(const Index* columns, std::int64_t nnz, std::int64_t cols) : count_(cols) {
        if (cols / 8 <= nnz + (1 << 20)) return;
        present_.assign(columns, columns + nnz);
        std::sort(present_.begin(), present_.end());
        present_.erase(std::unique(present_.begin(), present_.end()), present_.end());
        count_ = static_cast<std::int64_t>(present_.size());
    }
    std::int64_t count() const { return count_; }
    std::size_t operator()(Index column) const {
        if (present_.empty()) return as_size(column);
        return as_size(std::lower_bound(present_.begin(), present_.end(), column) - present_.begin());
    }

   private:
    std::int64_t count_;
    std::vector<Index> present_;
};

}  // namespace

template <class Index>
CsrReport validate_csr(const Pattern<Index>& pattern, std::int64_t n_columns, std::int64_t n_values) {
    CsrReport report;
    auto fail = [&](CsrRule rule, std::int64_t at) {
        report.broken = rule;
        report.at = at;
        return report;
    };
    if (pattern.rows < 0 || pattern.cols < 0) return fail(CsrRule::negative_shape, 0);
    const std::int64_t* const row_ptr = pattern.row_ptr;
    if (row_ptr[0] != 0) return fail(CsrRule::first_pointer, 0);
    for (std::int64_t row = 0; row < pattern.rows; ++row)
        if (row_ptr[row] > row_ptr[row + 1]) return fail(CsrRule::pointers_descend, row);
    const std::int64_t nnz = row_ptr[pattern.rows];
    if (nnz != n_columns || nnz != n_values) return fail(CsrRule::last_pointer, pattern.rows);

    // One pass without branches over all columns; the culprit is looked for only if there is one.
    using Unsigned = std::make_unsigned_t<Index>;
    bool out_of_range = false;
    for (std::int64_t i = 0; i < nnz; ++i)
        out_of_range |= static_cast<std::uint64_t>(static_cast<Unsigned>(pattern.columns[i])) >=
                        static_cast<std::uint64_t>(pattern.cols);
    if (out_of_range)
        for (std::int64_t i = 0; i < nnz; ++i)
            if (pattern.columns[i] < 0 || pattern.columns[i] >= pattern.cols) return fail(CsrRule::column_range, i);

    for (std::int64_t row = 0; row < pattern.rows; ++row) {
        bool descends = false, repeats = false;
        for (std::int64_t i = row_ptr[row] + 1; i < row_ptr[row + 1]; ++i) {
            descends |= pattern.columns[i] < pattern.columns[i - 1];
            repeats |= pattern.columns[i] == pattern.columns[i - 1];
        }
        report.sorted &= !descends;
        report.unique &= !repeats;
    }
    return report;
}

template <class Index>
std::int64_t max_column_count(const Index* columns, std::int64_t nnz, std::int64_t cols) {
    const ColumnNumbers<Index> number(columns, nnz, cols);
    std::vector<std::int64_t> count(as_size(number.count()), 0);
    for (std::int64_t i = 0; i < nnz; ++i) ++count[number(columns[i])];
    return count.empty() ? 0 : *std::max_element(count.begin(), count.end());
}

namespace {

template <class Index>
bool same_rows(const Pattern<Index>& pattern, std::int64_t first, std::int64_t second) {
    const std::int64_t begin = pattern.row_ptr[first], other = pattern.row_ptr[second];
    const std::int64_t n = pattern.row_ptr[first + 1] - begin;
    return n == pattern.row_ptr[second + 1] - other &&
           std::equal(pattern.columns + begin, pattern.columns + begin + n, pattern.columns + other);
}

// Rows of each aligned group of b rows own the same columns.
template <class Index>
bool rows_in_blocks(const Pattern<Index>& pattern, int b) {
    for (std::int64_t row = 0; row < pattern.rows; ++row)
        if (row % b != 0 && !same_rows(pattern, row - row % b, row)) return false;
    return true;
}

// Columns of each row come in aligned groups of c (fewer at the right edge).
template <class Index>
bool columns_in_blocks(const Pattern<Index>& pattern, int c) {
    for (std::int64_t row = 0; row < pattern.rows; ++row)
        for (std::int64_t i = pattern.row_ptr[row]; i < pattern.row_ptr[row + 1];) {
            const std::int64_t first = pattern.columns[i];
            const std::int64_t n = std::min<std::int64_t>(c, pattern.cols - first);
            if (first % c != 0 || i + n > pattern.row_ptr[row + 1] || pattern.columns[i + n - 1] != first + n - 1)
                return false;
            i += n;
        }
    return true;
}

}  // namespace

template <class Index>
bool has_block(const Pattern<Index>& pattern, Block block) {
    return rows_in_blocks(pattern, block.rows) && columns_in_blocks(pattern, block.cols);
}

template <class Index>
Block detect_block(const Pattern<Index>& pattern) {
    Block block{1, 1};
    if (pattern.nnz() == 0) return block;
    while (block.rows < 32 && 2 * block.rows <= pattern.rows && rows_in_blocks(pattern, 2 * block.rows))
        block.rows *= 2;
    while (block.cols < 4 && 2 * block.cols <= pattern.cols && columns_in_blocks(pattern, 2 * block.cols))
        block.cols *= 2;
    return block;
}

namespace {

// First-fit placement of members. For each column it keeps the sets that own it as a list and, once that costs no more
// memory than the list, as bits too: first fit is then an OR of words. Memory stays O(nnz).
template <class Index>
class StrictPacker {
   public:
    StrictPacker(const Pattern<Index>& pattern, int block_rows)
        : pattern_(pattern),
          block_rows_(block_rows),
          n_members_((pattern.rows + block_rows - 1) / block_rows),
          number_(pattern.columns, pattern.nnz(), pattern.cols),
          set_of_(as_size(n_members_), none),
          columns_(as_size(number_.count())),
          budget_(32 * pattern.nnz() + (1 << 20)) {}

    enum class Outcome { packed, nearly, hopeless };

    // Into at most max_sets sets of members (0: any number). `nearly`: a few members found no place.
    Outcome run(std::int64_t max_sets) {
        std::vector<std::int64_t> order(as_size(n_members_));
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) { return size(a) > size(b); });
        std::vector<std::int64_t> homeless;
        const std::int64_t patience = n_members_ / 16 + 4;  // more than this is beyond repair
        for (const std::int64_t member : order) {
            const std::int64_t set = first_fit(member);
            if (max_sets > 0 && set >= max_sets) {
                homeless.push_back(member);
                if (static_cast<std::int64_t>(homeless.size()) > patience) return Outcome::hopeless;
            } else {
                place(member, set);
            }
        }
        for (const std::int64_t member : homeless)
            if (!place_by_ejection(member)) return Outcome::nearly;
        repair();
        return Outcome::packed;
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

    void remove(std::int64_t member) {
        const std::int64_t set = set_of_[as_size(member)];
        for (const Index* column = begin(member); column != end(member); ++column) {
            Column& owned = columns_[number_(*column)];
            auto& owners = owned.owners;
            budget_ -= static_cast<std::int64_t>(owners.size());
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
            budget_ -= static_cast<std::int64_t>(owners.size());
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

    // Tries to empty the smallest sets, one after the other, until one resists or the budget is spent.
    void repair() {
        std::vector<std::int64_t> n_of(as_size(n_sets_), 0);
        for (;;) {
            if (n_sets_ < 2 || budget_ < 0) break;
            budget_ -= n_members_;
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
    const int block_rows_;
    const std::int64_t n_members_;
    const ColumnNumbers<Index> number_;
    std::vector<std::int64_t> set_of_;  // of a member
    std::vector<Column> columns_;
    std::vector<std::int64_t> stamp_, rival_;  // of a set, valid where stamp_ == now_
    std::vector<std::uint64_t> taken_;         // scratch of first_fit
    std::int64_t budget_;                      // steps left for repair
    std::int64_t n_sets_ = 0, now_ = 0, closed_ = none;
};

}  // namespace

template <class Index>
bool pack_strict(const Pattern<Index>& pattern, int block_rows, std::int64_t max_sets, Sets& sets) {
    const std::int64_t max_member_sets = max_sets / block_rows;
    if (max_sets > 0 && max_member_sets == 0) return pattern.rows == 0;
    using Packer = StrictPacker<Index>;
    Packer limited(pattern, block_rows);
    const auto outcome = limited.run(max_member_sets);
    if (outcome == Packer::Outcome::packed) limited.list(sets);
    if (outcome != Packer::Outcome::nearly) return outcome == Packer::Outcome::packed;
    // Sets beyond the limit give the repair more room, and it may empty them again.
    Packer unlimited(pattern, block_rows);
    unlimited.run(0);
    if (unlimited.n_sets() > max_member_sets) return false;
    unlimited.list(sets);
    return true;
}

template <class Index>
void pack_split(const Pattern<Index>& pattern, Sets& sets, std::int32_t* set, std::int32_t* kernel_id) {
    if (pattern.rows > std::numeric_limits<std::int32_t>::max())
        throw std::length_error("pack_split: 2^31 rows or more");
    const ColumnNumbers<Index> number(pattern.columns, pattern.nnz(), pattern.cols);
    struct Members {
        std::int32_t count, last_row;
    };
    std::vector<Members> members;                                  // of a set
    std::vector<std::int32_t> filled(as_size(number.count()), 0);  // entries so far, of a column
    for (std::int64_t row = 0; row < pattern.rows; ++row)
        for (std::int64_t i = pattern.row_ptr[row]; i < pattern.row_ptr[row + 1]; ++i) {
            const std::int32_t s = filled[number(pattern.columns[i])]++;
            if (as_size(s) == members.size()) members.push_back({0, -1});
            Members& of_set = members[as_size(s)];
            if (of_set.last_row != row) of_set = {of_set.count + 1, static_cast<std::int32_t>(row)};
            set[i] = s;
            kernel_id[i] = of_set.count - 1;
        }
    sets.set_ptr.assign(members.size() + 1, 0);
    for (std::size_t s = 0; s < members.size(); ++s) sets.set_ptr[s + 1] = sets.set_ptr[s] + members[s].count;
    sets.row_order.resize(as_size(sets.set_ptr.back()));
    for (std::int64_t row = 0; row < pattern.rows; ++row)
        for (std::int64_t i = pattern.row_ptr[row]; i < pattern.row_ptr[row + 1]; ++i)
            sets.row_order[as_size(sets.set_ptr[as_size(set[i])] + kernel_id[i])] = row;
}

template <class Index>
PackingReport validate_packing(const Pattern<Index>& pattern, const std::int64_t* set_ptr, std::int64_t n_sets,
                               const std::int64_t* row_order, std::int64_t n_order) {
    PackingReport report;
    auto fail = [&](PackingRule rule, std::int64_t at) {
        report.broken = rule;
        report.at = at;
        return report;
    };
    if (n_order != pattern.rows || set_ptr[0] != 0) return fail(PackingRule::pointers, 0);
    for (std::int64_t set = 0; set < n_sets; ++set)
        if (set_ptr[set] > set_ptr[set + 1]) return fail(PackingRule::pointers, set);
    if (set_ptr[n_sets] != n_order) return fail(PackingRule::pointers, n_sets);
    std::vector<bool> seen(as_size(pattern.rows), false);
    for (std::int64_t i = 0; i < n_order; ++i) {
        const std::int64_t row = row_order[i];
        if (row < 0 || row >= pattern.rows || seen[as_size(row)]) return fail(PackingRule::permutation, i);
        seen[as_size(row)] = true;
    }
    const ColumnNumbers<Index> number(pattern.columns, pattern.nnz(), pattern.cols);
    std::vector<std::int64_t> last_set(as_size(number.count()), -1), last_row(as_size(number.count()), -1);
    for (std::int64_t set = 0; set < n_sets; ++set)
        for (std::int64_t member = set_ptr[set]; member < set_ptr[set + 1]; ++member) {
            const std::int64_t row = row_order[member];
            for (std::int64_t i = pattern.row_ptr[row]; i < pattern.row_ptr[row + 1]; ++i) {
                const std::size_t column = number(pattern.columns[i]);
                if (last_set[column] == set) {
                    report.set = set;
                    report.column = static_cast<std::int64_t>(pattern.columns[i]);
                    report.first_row = last_row[column];
                    report.second_row = row;
                    return fail(PackingRule::shared_column, i);
                }
                last_set[column] = set;
                last_row[column] = row;
            }
        }
    return report;
}

#define CS_INSTANTIATE(Index)                                                                         \
    template CsrReport validate_csr(const Pattern<Index>&, std::int64_t, std::int64_t);               \
    template std::int64_t max_column_count(const Index*, std::int64_t, std::int64_t);                 \
    template Block detect_block(const Pattern<Index>&);                                               \
    template bool has_block(const Pattern<Index>&, Block);                                            \
    template bool pack_strict(const Pattern<Index>&, int, std::int64_t, Sets&);                       \
    template void pack_split(const Pattern<Index>&, Sets&, std::int32_t*, std::int32_t*);             \
    template PackingReport validate_packing(const Pattern<Index>&, const std::int64_t*, std::int64_t, \
                                            const std::int64_t*, std::int64_t);
CS_INSTANTIATE(std::int32_t)
CS_INSTANTIATE(std::int64_t)
#undef CS_INSTANTIATE

}  // namespace cs
