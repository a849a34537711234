/// The order in which a latent grid [H, W, C] is coded, in four passes of four parts each.
///
/// The channels fall into four groups of C/4. In pass k, positions of parity p = 2 * (row mod 2) + column mod 2 code
/// group `p XOR mask(k)`, so that every pass sees, around and at each position, what earlier passes left there (Li et
/// al., 2302.14402, section 3.3).
// bitstream-spec 8.3
package struct QuadTreeOrder: Sendable {
  package static let passes = 4
  package static let parities = 4
  private static let masks = [0, 3, 1, 2]

  package let height: Int
  package let width: Int
  package let channels: Int

  /// `channels` must be a multiple of 4.
  package init(height: Int, width: Int, channels: Int) {
    precondition(height >= 1 && width >= 1 && channels % 4 == 0)
    (self.height, self.width, self.channels) = (height, width, channels)
  }

  /// Every second row and column, with one group of channels: coded row by row, channels fastest.
  package struct Part: Sendable {
    package let group: Int
    package let row: Int
    package let column: Int
    package let rows: Int
    package let columns: Int
  }

  /// The part that `pass` codes for `parity`; nil where the grid has no such position.
  package func part(pass: Int, parity: Int) -> Part? {
    let (row, column) = (parity >> 1, parity & 1)
    let (rows, columns) = ((height - row + 1) / 2, (width - column + 1) / 2)
    guard rows > 0, columns > 0 else { return nil }
    return Part(group: parity ^ Self.masks[pass], row: row, column: column, rows: rows, columns: columns)
  }
}
