#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes tests/unit/data/zones.mmdb, with MaxMind's own writer (Debian: libmaxmind-db-writer-perl).
use strict;
use warnings;
use MaxMind::DB::Writer::Tree;

my %types = (country => 'map', iso_code => 'utf8_string', cell => 'utf8_string', number => 'uint32');
my $tree = MaxMind::DB::Writer::Tree->new(
    ip_version => 6, record_size => 24, database_type => 'PMO-Test', languages => ['en'],
    description => { en => 'for the tests of zones' }, map_key_type_callback => sub { $types{ $_[0] } },
    alias_ipv6_to_ipv4 => 1, remove_reserved_networks => 0);

sub country { return { country => { iso_code => $_[0] }, number => $_[1] } }

# the two halves of 198.18.0.0/15 are one zone, but for a network in the second
$tree->insert_network('198.18.0.0/16', country('NL', 1));
$tree->insert_network('198.19.0.0/16', country('NL', 2));
$tree->insert_network('198.19.64.0/18', country('DE', 3));
$tree->insert_network('198.19.64.0/24', { number => 4 });    # has no country
$tree->insert_network('203.0.113.0/24', country('FR', 5));
$tree->insert_network('2001:db8::/33', country('NL', 6));
$tree->insert_network('2001:db8:8000::/33', country('NL', 7));
$tree->insert_network('2001:db9::/32', country('DE', 8));
# 300 cells, more than there may be zones: c299 is the largest, then come c298, c297...
for my $i (0 .. 299) {
    my $bits = $i == 299 ? 17 : $i == 298 ? 18 : $i == 297 ? 19 : 24;
    my $at = $i == 299 ? '100.64.0.0' : $i == 298 ? '100.65.0.0' : $i == 297 ? '100.66.0.0'
        : sprintf('100.%d.%d.0', 80 + int($i / 200), $i % 200);
    $tree->insert_network("$at/$bits", { cell => "c$i" });
}
open my $out, '>:raw', $ARGV[0] or die "$ARGV[0]: $!";
$tree->write_tree($out);
