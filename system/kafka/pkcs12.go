package kafka

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
	"math/big"
)

// PKCS12 (RFC 7292) as far as Java and OpenSSL write it. The MAC over the whole
// is not looked at: what is read are certificates and keys of the user's own
// file, and a wrong password shows in what it fails to open.

type (
	pfx struct {
		Version  int
		AuthSafe contentInfo
		MacData  asn1.RawValue `asn1:"optional"`
	}
	contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"tag:0,explicit,optional"`
	}
	encryptedData struct {
		Version int
		Content struct {
			Type      asn1.ObjectIdentifier
			Algorithm pkix.AlgorithmIdentifier
			Data      []byte `asn1:"tag:0,optional"`
		}
	}
	safeBag struct {
		Type       asn1.ObjectIdentifier
		Value      asn1.RawValue `asn1:"tag:0,explicit"`
		Attributes asn1.RawValue `asn1:"optional"`
	}
	certBag struct {
		Type asn1.ObjectIdentifier
		Data []byte `asn1:"tag:0,explicit"`
	}
	encryptedKeyInfo struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	pbes2Params struct {
		Derivation, Encryption pkix.AlgorithmIdentifier
	}
	pbkdf2Params struct {
		Salt       []byte
		Iterations int
		KeyLength  int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
	pbeParams struct {
		Salt       []byte
		Iterations int
	}
)

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEncryptedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
	oidKeyBag        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}
	oidShroudedKey   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidCertBag       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
	oidX509          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}

	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oid3DES   = asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}
	oidAES    = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1}

	// Before PBES2: SHA-1 and triple DES, or RC2 with 128 or 40 bits.
	oidSHA3DES    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 3}
	oidSHARC2     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 5}
	oidSHARC2Weak = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, 6}
)

// mostIterations bounds the work that a file can ask for; Java writes 10,000. It
// is a variable for the fuzz test, which has no time.
var mostIterations = 1_000_000

func readPKCS12(data []byte, storePassword, keyPassword string) (keystoreContent, error) {
	var out keystoreContent
	var p pfx
	if _, err := asn1.Unmarshal(data, &p); err != nil || p.Version != 3 {
		return out, errors.New("it is neither PEM nor a keystore in JKS or PKCS12")
	}
	if !p.AuthSafe.Type.Equal(oidData) {
		return out, errors.New("it is a PKCS12 keystore under a public key, which is not supported")
	}
	safe, err := octets(p.AuthSafe.Content)
	if err != nil {
		return out, errCutOff
	}
	var parts []contentInfo
	if _, err := asn1.Unmarshal(safe, &parts); err != nil {
		return out, errCutOff
	}
	for _, part := range parts {
		var content []byte
		switch {
		case part.Type.Equal(oidData):
			content, err = octets(part.Content)
		case part.Type.Equal(oidEncryptedData):
			var e encryptedData
			if _, err := asn1.Unmarshal(part.Content.Bytes, &e); err != nil {
				return out, errCutOff
			}
			content, err = decryptPBE(e.Content.Algorithm, e.Content.Data, storePassword)
		default:
			continue
		}
		if err != nil {
			return out, err
		}
		if err := out.addBags(content, keyPassword); err != nil {
			return out, err
		}
	}
	return out, nil
}

func octets(v asn1.RawValue) ([]byte, error) {
	var b []byte
	_, err := asn1.Unmarshal(v.Bytes, &b)
	return b, err
}

func (k *keystoreContent) addBags(content []byte, keyPassword string) error {
	var bags []safeBag
	if _, err := asn1.Unmarshal(content, &bags); err != nil {
		return errWrongPassword
	}
	for _, b := range bags {
		switch {
		case b.Type.Equal(oidCertBag):
			var c certBag
			if _, err := asn1.Unmarshal(b.Value.Bytes, &c); err != nil {
				return errCutOff
			}
			if c.Type.Equal(oidX509) {
				k.certs = append(k.certs, c.Data)
			}
		case b.Type.Equal(oidKeyBag) && k.key == nil:
			k.key = b.Value.Bytes
		case b.Type.Equal(oidShroudedKey) && k.key == nil:
			var e encryptedKeyInfo
			if _, err := asn1.Unmarshal(b.Value.Bytes, &e); err != nil {
				return errCutOff
			}
			key, err := decryptPBE(e.Algorithm, e.Data, keyPassword)
			if err != nil {
				return err
			}
			k.key = key
		}
	}
	return nil
}

// decryptPBE opens what is encrypted by a password.
func decryptPBE(a pkix.AlgorithmIdentifier, data []byte, password string) ([]byte, error) {
	var (
		block cipher.Block
		iv    []byte
		err   error
	)
	switch {
	case a.Algorithm.Equal(oidPBES2):
		block, iv, err = pbes2(a.Parameters.FullBytes, password)
	case a.Algorithm.Equal(oidSHA3DES):
		block, iv, err = shaPBE(a.Parameters.FullBytes, password, 24, des.NewTripleDESCipher)
	case a.Algorithm.Equal(oidSHARC2):
		block, iv, err = shaPBE(a.Parameters.FullBytes, password, 16, newRC2)
	case a.Algorithm.Equal(oidSHARC2Weak):
		block, iv, err = shaPBE(a.Parameters.FullBytes, password, 5, newRC2)
	default:
		err = fmt.Errorf("its encryption %s is unknown", a.Algorithm)
	}
	if err != nil {
		return nil, err
	}
	size := block.BlockSize()
	if len(data) == 0 || len(data)%size != 0 || len(iv) != size {
		return nil, errCutOff
	}
	out := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, data)
	pad := int(out[len(out)-1])
	if pad < 1 || pad > size || !bytes.Equal(out[len(out)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, errWrongPassword
	}
	return out[:len(out)-pad], nil
}

var hmacs = []struct {
	oid  asn1.ObjectIdentifier
	hash func() hash.Hash
}{
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}, sha1.New},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 8}, sha256.New224},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}, sha256.New},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 10}, sha512.New384},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}, sha512.New},
}

// pbes2 is RFC 8018's: PBKDF2, then AES or triple DES in CBC mode.
func pbes2(params []byte, password string) (cipher.Block, []byte, error) {
	var (
		p  pbes2Params
		d  pbkdf2Params
		iv []byte
	)
	if _, err := asn1.Unmarshal(params, &p); err != nil {
		return nil, nil, errCutOff
	}
	if !p.Derivation.Algorithm.Equal(oidPBKDF2) {
		return nil, nil, fmt.Errorf("its key derivation %s is unknown", p.Derivation.Algorithm)
	}
	if _, err := asn1.Unmarshal(p.Derivation.Parameters.FullBytes, &d); err != nil {
		return nil, nil, errCutOff
	}
	if _, err := asn1.Unmarshal(p.Encryption.Parameters.FullBytes, &iv); err != nil {
		return nil, nil, errCutOff
	}
	if d.Iterations < 1 || d.Iterations > mostIterations {
		return nil, nil, fmt.Errorf("%d iterations of its key derivation are too many", d.Iterations)
	}
	prf := sha1.New
	if d.PRF.Algorithm != nil {
		prf = nil
		for _, h := range hmacs {
			if h.oid.Equal(d.PRF.Algorithm) {
				prf = h.hash
			}
		}
		if prf == nil {
			return nil, nil, fmt.Errorf("its key derivation's function %s is unknown", d.PRF.Algorithm)
		}
	}
	size, make := 0, aes.NewCipher
	switch e := p.Encryption.Algorithm; {
	case e.Equal(oid3DES):
		size, make = 24, des.NewTripleDESCipher
	case e.Equal(append(oidAES[:8:8], 2)):
		size = 16
	case e.Equal(append(oidAES[:8:8], 22)):
		size = 24
	case e.Equal(append(oidAES[:8:8], 42)):
		size = 32
	default:
		return nil, nil, fmt.Errorf("its encryption %s is unknown", e)
	}
	key, err := pbkdf2.Key(prf, password, d.Salt, d.Iterations, size)
	if err != nil {
		return nil, nil, err
	}
	block, err := make(key)
	return block, iv, err
}

// shaPBE is the encryption of RFC 7292, appendix C, with a key of size bytes.
func shaPBE(params []byte, password string, size int, make func([]byte) (cipher.Block, error)) (cipher.Block, []byte, error) {
	var p pbeParams
	if _, err := asn1.Unmarshal(params, &p); err != nil || len(p.Salt) == 0 {
		return nil, nil, errCutOff
	}
	if p.Iterations < 1 || p.Iterations > mostIterations {
		return nil, nil, fmt.Errorf("%d iterations of its key derivation are too many", p.Iterations)
	}
	secret := append(utf16Bytes(password), 0, 0)
	block, err := make(deriveSHA(secret, p.Salt, p.Iterations, 1, size))
	return block, deriveSHA(secret, p.Salt, p.Iterations, 2, 8), err
}

// deriveSHA is RFC 7292, appendix B.2, with SHA-1 (u = 20, v = 64 bytes); id 1
// makes keys, 2 initial vectors.
func deriveSHA(secret, salt []byte, iterations int, id byte, size int) []byte {
	const v = 64
	fill := func(b []byte) []byte {
		n := (len(b) + v - 1) / v * v
		return bytes.Repeat(b, n/len(b)+1)[:n]
	}
	diversifier := bytes.Repeat([]byte{id}, v)
	input := append(fill(salt), fill(secret)...)
	var out []byte
	one := big.NewInt(1)
	for len(out) < size {
		a := sha1.Sum(append(bytes.Clone(diversifier), input...))
		for range iterations - 1 {
			a = sha1.Sum(a[:])
		}
		out = append(out, a[:]...)
		// Each block of the input grows by a, repeated to its size, plus one.
		b := new(big.Int).SetBytes(bytes.Repeat(a[:], v/sha1.Size+1)[:v])
		b.Add(b, one)
		for i := 0; i < len(input); i += v {
			sum := new(big.Int).SetBytes(input[i : i+v])
			sum.Add(sum, b)
			raw := sum.Bytes()
			if len(raw) > v {
				raw = raw[len(raw)-v:]
			}
			block := input[i : i+v]
			clear(block)
			copy(block[v-len(raw):], raw)
		}
	}
	return out[:size]
}
