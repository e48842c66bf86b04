# Verifies a webhook with Ruby's standard library: WEBHOOK_SECRET=whsec_.. ruby verify.rb HEADERS_FILE BODY_FILE

require "openssl"

TOLERANCE_S = 5 * 60

# True if the request is genuine and recent. headers: by lower-case name; body: exactly as received.
def verify(secret, headers, body)
  id = headers["webhook-id"]
  sent_at = headers["webhook-timestamp"].to_s
  return false if id.nil? || !sent_at.match?(/\A\d+\z/) || (Time.now.to_i - sent_at.to_i).abs > TOLERANCE_S

  key = secret.delete_prefix("whsec_").unpack1("m0")
  digest = OpenSSL::HMAC.digest("SHA256", key, "#{id}.#{sent_at}.".b + body)
  expected = "v1,#{[digest].pack("m0")}"
  # While a secret is rotated there are two signatures: one that matches is enough.
  headers["webhook-signature"].to_s.split(" ").any? do |given|
    given.bytesize == expected.bytesize && OpenSSL.fixed_length_secure_compare(given, expected)
  end
end

if $PROGRAM_NAME == __FILE__
  lines = File.readlines(ARGV[0], chomp: true).select { |line| line.include?(":") }
  headers = lines.to_h { |line| line.split(":", 2).then { |name, value| [name.downcase, value.strip] } }
  exit(verify(ENV.fetch("WEBHOOK_SECRET"), headers, File.binread(ARGV[1])))
end
