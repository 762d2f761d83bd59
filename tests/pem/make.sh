#!/bin/sh
# Made the files beside it, once, with OpenSSL 3.0. TEST KEYS: published, and nobody's. The tests need
# no openssl.
set -eu
cd "$(dirname "$0")"
pkey() { openssl genpkey -algorithm "$@" 2>/dev/null; }
certify() { openssl req -x509 -key "$1.key" -out "$1.crt" -days 36500 -subj "/CN=libmfa test $1"; }

pkey EC -pkeyopt ec_paramgen_curve:P-256 >p256.key
certify p256
pkey EC -pkeyopt ec_paramgen_curve:P-521 >p521.key
certify p521
pkey EC -pkeyopt ec_paramgen_curve:secp256k1 >k256.key
pkey RSA -pkeyopt rsa_keygen_bits:1024 >rsa1024.key
certify rsa1024
pkey RSA -pkeyopt rsa_keygen_bits:2048 >rsa2048.key
certify rsa2048
pkey ED25519 >ed25519.key
certify ed25519
openssl ecparam -name prime256v1 -genkey -out p256-parameters.key
openssl pkcs8 -topk8 -in p256.key -passout pass:test -out p256-encrypted.key
openssl ec -in p256.key -aes256 -passout pass:test -out p256-encrypted-sec1.key 2>/dev/null
openssl rsa -in rsa2048.key -traditional -out rsa2048-pkcs1.key 2>/dev/null
openssl rsa -in rsa2048.key -traditional -aes256 -passout pass:test -out rsa2048-encrypted-pkcs1.key 2>/dev/null
openssl x509 -in p256.crt -trustout -addtrust serverAuth -out p256-trusted.crt
openssl pkcs12 -export -in p256.crt -inkey p256.key -name test -passout pass: -out p256.p12
openssl pkcs12 -in p256.p12 -passin pass: -nodes -out p256-pkcs12.pem
rm p256.p12
openssl crl2pkcs7 -nocrl -certfile p256.crt -out p256.p7
openssl req -new -key p256.key -subj "/CN=libmfa test" -out p256.csr
openssl x509 -in p256.crt -outform DER -out p256-certificate.der
openssl pkey -in p256.key -outform DER -out p256-key.der
openssl req -new -key p256.key -subj "/CN=libmfa test v1" 2>/dev/null | openssl x509 -req -signkey p256.key -days 36500 -out p256-v1.crt 2>/dev/null
