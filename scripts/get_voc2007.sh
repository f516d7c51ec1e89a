#!/usr/bin/env bash
# Downloads PASCAL VOC2007 (trainval, test, development kit), checks and unpacks it; run again to go on after a break.
#
#   scripts/get_voc2007.sh [FOLDER]        default: data/voc2007; needs 2 GB there, bash, curl and tar
#
# Then: fvtool run --data FOLDER/VOCdevkit/VOC2007 ...
# VOC2007_URL names another server with the same files. The images belong to their photographers
# (flickr terms of use); they may not be passed on with fvtool.
set -euo pipefail

url=${VOC2007_URL:-http://host.robots.ox.ac.uk/pascal/VOC/voc2007}
folder=${1:-data/voc2007}

fail() {
    echo "get_voc2007: $*" >&2
    exit 1
}

command -v curl > /dev/null || fail "curl is missing; install it, or fetch the files named in this script by hand"

sha256() {
    if command -v sha256sum > /dev/null; then
        sha256sum "$1" | cut -d ' ' -f 1
    else
        shasum -a 256 "$1" | cut -d ' ' -f 1
    fi
}

# fetch FILE SHA256: downloads into FILE.part, renames it once it is whole and right.
fetch() {
    local file=$1 expected=$2 got
    [ -f "$file" ] && return
    # A whole .part is left over when the check was interrupted; asking for its rest would fail.
    if [ ! -f "$file.part" ] || [ "$(sha256 "$file.part")" != "$expected" ]; then
        echo "downloading $url/$file" >&2
        curl --fail --location --retry 5 --retry-delay 5 --continue-at - \
            --output "$file.part" "$url/$file" ||
            fail "download of $file broke off; run this script again to go on, or delete $folder/$file.part to start afresh"
    fi
    got=$(sha256 "$file.part")
    [ "$got" = "$expected" ] ||
        fail "$folder/$file.part has SHA-256 $got, expected $expected; delete it and run this script again"
    mv "$file.part" "$file"
}

# unpack FILE: once; the mark is made last, so that a break in between unpacks again.
unpack() {
    local file=$1
    [ -f ".unpacked-$file" ] && return
    echo "unpacking $file" >&2
    tar -xf "$file" || fail "$folder/$file cannot be unpacked; delete it and run this script again"
    touch ".unpacked-$file"
}

# expect COUNT WHAT GOT
expect() {
    [ "$3" -eq "$1" ] || fail "found $3 $2, expected $1; delete $folder/.unpacked-* and run this script again"
}

mkdir -p "$folder"
cd "$folder"
folder=$PWD

fetch VOCtrainval_06-Nov-2007.tar 7d8cd951101b0957ddfd7a530bdc8a94f06121cfc1e511bb5937e973020c7508
fetch VOCtest_06-Nov-2007.tar 6836888e2e01dca84577a849d339fa4f73e1e4f135d312430c4856b5609b4892
unpack VOCtrainval_06-Nov-2007.tar
unpack VOCtest_06-Nov-2007.tar

# The development kit (MATLAB code, 250 kB) has no published checksum: it must unpack, that is all.
# fvtool does not need it, so that its absence is no failure.
devkit=VOCdevkit_08-Jun-2007.tar
if [ ! -f ".unpacked-$devkit" ]; then
    if curl --fail --location --retry 5 --output "$devkit.part" "$url/$devkit" && tar -tf "$devkit.part" > /dev/null; then
        mv "$devkit.part" "$devkit"
        unpack "$devkit"
    else
        rm -f "$devkit.part"
        echo "get_voc2007: no $devkit; only its MATLAB code is missing" >&2
    fi
fi

root=VOCdevkit/VOC2007
expect 9963 images "$(find $root/JPEGImages -name '*.jpg' | wc -l)"
expect 9963 annotations "$(find $root/Annotations -name '*.xml' | wc -l)"
expect 5011 "lines in trainval.txt" "$(wc -l < $root/ImageSets/Main/trainval.txt)"
expect 4952 "lines in test.txt" "$(wc -l < $root/ImageSets/Main/test.txt)"
echo "$folder/$root"
